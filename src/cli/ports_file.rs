//! The ports file: what a start tells programs.
//!
//! Whoever starts the server on ports that the system chooses waits for this file, and reads the addresses in it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::serve::Service;

/// Writes the addresses as JSON, `{"http":["127.0.0.1:8080"],…}`, in one step: whoever waits for
/// the file never reads half of it.
///
/// What is no plain file (a pipe, `/dev/stdout`) is written to as it is: to put a file in its place would
/// destroy it.
pub fn write(file: &Path, services: &[Service]) -> io::Result<()> {
    let ports = services.iter().map(|service| {
        let addresses = service.addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        (service.name.to_owned(), addresses.into())
    });
    let json = format!("{}\n", serde_json::Value::Object(ports.collect()));
    if fs::metadata(file).is_ok_and(|there| !there.is_file()) {
        return fs::write(file, json);
    }
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(format!(".{}.tmp", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    fs::write(&unfinished, json)?;
    fs::rename(&unfinished, file).inspect_err(|_| {
        // The rename's error is the one to tell.
        let _ = fs::remove_file(&unfinished);
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::super::serve::describe;
    use super::*;

    fn services(http: &[&str]) -> Vec<Service> {
        let parse = |list: &[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        describe(vec![("http", parse(http)), ("tcp_v1", parse(&[]))])
    }

    /// A pipe gets the addresses, and is still a pipe afterwards.
    #[test]
    fn a_pipe_stays_a_pipe() {
        let (mut reader, writer) = io::pipe().unwrap();
        let name = PathBuf::from(format!("/proc/self/fd/{}", writer.as_raw_fd()));
        write(&name, &services(&["127.0.0.1:1"])).unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"http\":[\"127.0.0.1:1\"],\"tcp_v1\":[]}\n");
    }

    /// The ports file is one JSON object of lists, replaces an older one, and leaves nothing beside it.
    #[test]
    fn the_file_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ports.json");
        fs::write(&file, "old").unwrap();
        write(&file, &services(&["127.0.0.1:1", "[::1]:2"])).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, "{\"http\":[\"127.0.0.1:1\",\"[::1]:2\"],\"tcp_v1\":[]}\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// A ports file that can't be put in its place is an error, and its unfinished copy is gone.
    #[test]
    fn a_folder_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ports.json");
        fs::create_dir_all(file.join("inside")).unwrap();
        assert!(write(&file, &services(&[])).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
