//! The version of the node's containerd.

use crate::host::Host;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// From `containerd github.com/containerd/containerd/v2 2.1.9+unknown`, or
    /// a release such as `6.1.0-18-amd64`.
    pub fn parse(text: &str) -> Option<Self> {
        let words = text.split_whitespace();
        let mut versions = words.filter_map(|word| {
            let mut parts = word.trim_start_matches('v').split(['.', '-', '~', '+']);
            let major = parts.next()?.parse().ok()?;
            let minor = parts.next()?.parse().ok()?;
            Some(Self { major, minor })
        });
        versions.next()
    }

    /// Of the containerd on the node's PATH, or of the one that k3s and others
    /// bring; `None` if there is none.
    pub fn of_containerd(host: &Host) -> Option<Self> {
        const PLACES: [&str; 5] = [
            "containerd",
            "/var/lib/rancher/k3s/data/current/bin/containerd",
            "/var/lib/rancher/rke2/bin/containerd",
            "/snap/microk8s/current/bin/containerd",
            "/var/lib/k0s/bin/containerd",
        ];
        PLACES.into_iter().find_map(|program| {
            let said = host.output(program, &["--version"]).ok()?;
            Self::parse(&said)
        })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_programs_print_it() {
        for (text, major, minor) in [
            (
                "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3",
                1,
                6,
            ),
            (
                "containerd github.com/containerd/containerd/v2 v2.1.5-k3s1 abc",
                2,
                1,
            ),
            ("containerd containerd.io 1.7.24 1.7.24-1", 1, 7),
            ("6.18.5-cloud", 6, 18),
        ] {
            assert_eq!(
                Version::parse(text),
                Some(Version::new(major, minor)),
                "{text}"
            );
        }
        assert_eq!(Version::parse("containerd"), None);
    }
}
