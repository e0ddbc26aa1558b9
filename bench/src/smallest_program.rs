//! The smallest static program there is: one that only ends.
//!
//! Starting it costs what the kernel takes for any process, and nothing for what is in it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// `exit(0)` in machine code, and the number ELF has for the machine.
#[cfg(target_arch = "x86_64")]
const EXIT: (u16, &[u8]) = (62, &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]);
#[cfg(target_arch = "aarch64")]
const EXIT: (u16, &[u8]) =
    (183, &[0xa8, 0x0b, 0x80, 0xd2, 0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4]);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const EXIT: (u16, &[u8]) = (0, &[]);

/// Where the program is loaded.
const BASE: u64 = 0x40_0000;

const FILE_HEADER: u16 = 64;
const SEGMENT_HEADER: u16 = 56;

/// Writes the program into a directory. On a machine whose code we do not know, `/bin/true` has
/// to do. Gives its path and what to call it.
pub(crate) fn write(directory: &Path) -> io::Result<(PathBuf, &'static str)> {
    if EXIT.1.is_empty() {
        return Ok(("/bin/true".into(), "/bin/true"));
    }
    let path = directory.join("smallest-program");
    fs::write(&path, image())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    Ok((path, "static program"))
}

/// An ELF file of one segment: both headers and the code behind them.
fn image() -> Vec<u8> {
    let (machine, code) = EXIT;
    let headers = u64::from(FILE_HEADER + SEGMENT_HEADER);
    let size = headers + code.len() as u64;
    let mut image = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |image: &mut Vec<u8>, value: u16| image.extend(value.to_le_bytes());
    let word = |image: &mut Vec<u8>, value: u32| image.extend(value.to_le_bytes());
    let wide = |image: &mut Vec<u8>, value: u64| image.extend(value.to_le_bytes());
    // An executable file of version 1, its entry behind the headers, one segment, no sections.
    half(&mut image, 2);
    half(&mut image, machine);
    word(&mut image, 1);
    wide(&mut image, BASE + headers);
    wide(&mut image, u64::from(FILE_HEADER));
    wide(&mut image, 0);
    word(&mut image, 0);
    for value in [FILE_HEADER, SEGMENT_HEADER, 1, 0, 0, 0] {
        half(&mut image, value);
    }
    // A segment to load, readable and executable, the whole file.
    word(&mut image, 1);
    word(&mut image, 5);
    for value in [0, BASE, BASE, size, size, 0x1000] {
        wide(&mut image, value);
    }
    image.extend(code);
    image
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn the_smallest_program_ends_well() {
        let directory = tempfile::tempdir().unwrap();
        let (path, _) = super::write(directory.path()).unwrap();
        assert!(std::process::Command::new(path).status().unwrap().success());
    }
}
