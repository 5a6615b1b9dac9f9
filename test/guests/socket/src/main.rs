//! A guest that serves TCP, or connects, through WasmEdge's sockets.
//!
//! serve ADDRESS: says "listening", answers one connection with what it sent,
//! in upper case, and ends. answer ADDRESS: the same for all connections, without
//! an end. connect ADDRESS: says what came of it.

use std::io::{self, Read, Write};
use std::{env, process};

use wasmedge_wasi_socket::{TcpListener, TcpStream};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(address),
        ["answer", address] => answer_all(address),
        ["connect", address] => connect(address),
        _ => Err(io::Error::other("usage: serve|answer|connect ADDRESS")),
    };
    if let Err(error) = result {
        eprintln!("socket: {error}");
        process::exit(1);
    }
}

fn serve(address: &str) -> io::Result<()> {
    answer(&listen(address)?)
}

fn answer_all(address: &str) -> io::Result<()> {
    let listener = listen(address)?;
    loop {
        // Who only looks whether there is a listener is gone by then.
        if let Err(error) = answer(&listener) {
            eprintln!("socket: a connection: {error}");
        }
    }
}

fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address, false)?;
    println!("listening");
    Ok(listener)
}

fn answer(listener: &TcpListener) -> io::Result<()> {
    let (mut stream, _) = listener.accept(false)?;
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer)?;
    stream.write_all(&buffer[..length].to_ascii_uppercase())
}

fn connect(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"from the guest")?;
    println!("connected");
    Ok(())
}
