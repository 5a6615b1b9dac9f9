//! What the guest holds open, seen from the inside.

/// Prints `fd N` for each open descriptor below 64, with the name after it
/// when it is a preopened directory.
#[cfg(target_os = "wasi")]
pub fn report() {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        fn fd_fdstat_get(fd: u32, stat: *mut [u8; 24]) -> u16;
        fn fd_prestat_get(fd: u32, stat: *mut [u32; 2]) -> u16;
        fn fd_prestat_dir_name(fd: u32, name: *mut u8, length: u32) -> u16;
    }
    for fd in 0..64 {
        let mut stat = [0u8; 24];
        // SAFETY: the buffer has the 24 bytes of an fdstat.
        if unsafe { fd_fdstat_get(fd, &raw mut stat) } != 0 {
            continue;
        }
        let mut prestat = [0u32; 2];
        // SAFETY: the buffer has the 8 bytes of a prestat.
        if unsafe { fd_prestat_get(fd, &raw mut prestat) } != 0 {
            println!("fd {fd}");
            continue;
        }
        let mut name = vec![0u8; prestat[1] as usize];
        // SAFETY: the length given is the buffer's.
        let error = unsafe { fd_prestat_dir_name(fd, name.as_mut_ptr(), prestat[1]) };
        assert_eq!(error, 0, "name of preopen {fd}");
        println!("fd {fd} {}", String::from_utf8_lossy(&name));
    }
}

/// A native program has no preopens; the descriptor that lists the folder is
/// closed again before anything is printed, so it does not count.
#[cfg(not(target_os = "wasi"))]
pub fn report() {
    let held = |fd: &u32| std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok();
    (0..64).filter(held).for_each(|fd| println!("fd {fd}"));
}
