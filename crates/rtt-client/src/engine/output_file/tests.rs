//! Tests: existing files, links, pipes, devices and errors. A full disk is tested with the program, in
//! `tests/files.rs`.

use super::*;

/// A new empty directory. Dropping it removes it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("output-file-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The names of all files, in alphabetical order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn write(path: &Path, content: &str) {
    let mut file = OutputFile::create(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file.finish().unwrap();
}

/// The whole error message in one line, as the program prints it.
fn message(error: &OutputFileError) -> String {
    format!("{error}: {}", error.source)
}

#[test]
fn file_appears_only_when_it_is_complete() {
    let directory = Directory::new();
    let path = directory.path("new");
    let mut file = OutputFile::create(&path).unwrap();
    file.write_all(b"part").unwrap();
    assert!(!path.exists());
    file.finish().unwrap();
    assert_eq!(
        (fs::read(&path).unwrap(), directory.names()),
        (b"part".to_vec(), vec!["new".into()])
    );
}

#[test]
fn existing_file_is_unchanged_until_the_new_one_is_complete() {
    let directory = Directory::new();
    let path = directory.path("keep");
    fs::write(&path, "old").unwrap();
    let mut file = OutputFile::create(&path).unwrap();
    file.write_all(b"new").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(directory.names(), ["keep"], "the temporary file is removed");
    write(&path, "new");
    assert_eq!(
        (fs::read_to_string(&path).unwrap(), directory.names()),
        ("new".into(), vec!["keep".into()])
    );
}

#[test]
fn file_in_the_current_directory_needs_no_path() {
    let name = format!("output-file-{}-{:016x}", std::process::id(), fastrand::u64(..));
    write(Path::new(&name), "x");
    assert_eq!(fs::read_to_string(&name).unwrap(), "x");
    fs::remove_file(name).unwrap();
}

#[test]
fn name_of_the_maximum_length_is_possible() {
    let directory = Directory::new();
    let path = directory.path(&"n".repeat(255));
    write(&path, "x");
    assert_eq!(fs::read_to_string(&path).unwrap(), "x");
}

#[test]
fn directory_and_missing_directory_are_errors() {
    let directory = Directory::new();
    for path in [directory.0.clone(), directory.path("missing/new"), PathBuf::new(), "/".into()] {
        let error = OutputFile::create(&path).unwrap_err();
        assert_eq!(error.path, path);
        let message = message(&error);
        assert!(message.starts_with("cannot ") && message.lines().count() == 1, "{message}");
    }
    assert!(directory.names().is_empty());
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
    use std::process::Command;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn link_stays_and_its_target_is_replaced() {
        let directory = Directory::new();
        let (target, first, second) =
            (directory.path("target"), directory.path("first"), directory.path("second"));
        fs::write(&target, "old").unwrap();
        symlink("target", &first).unwrap();
        symlink(&first, &second).unwrap();
        write(&second, "new");
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(fs::read_link(&first).unwrap(), Path::new("target"));
        assert_eq!(fs::read_link(&second).unwrap(), first);
    }

    #[test]
    fn target_of_a_dangling_link_is_created() {
        let directory = Directory::new();
        fs::create_dir(directory.path("other")).unwrap();
        symlink("other/new", directory.path("link")).unwrap();
        write(&directory.path("link"), "new");
        assert_eq!(fs::read_to_string(directory.path("other/new")).unwrap(), "new");
        assert_eq!(directory.names(), ["link", "other"]);
    }

    #[test]
    fn loop_of_links_is_an_error() {
        let directory = Directory::new();
        symlink("b", directory.path("a")).unwrap();
        symlink("a", directory.path("b")).unwrap();
        assert!(OutputFile::create(&directory.path("a")).is_err());
        assert_eq!(directory.names(), ["a", "b"]);
    }

    #[test]
    fn new_file_has_the_permissions_of_any_new_file() {
        let directory = Directory::new();
        fs::write(directory.path("usual"), "").unwrap();
        write(&directory.path("new"), "");
        assert_eq!(mode(&directory.path("new")), mode(&directory.path("usual")));
    }

    #[test]
    fn permissions_and_owner_of_an_existing_file_are_kept() {
        let directory = Directory::new();
        let path = directory.path("keep");
        for permissions in [0o600, 0o664, 0o2750] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(permissions)).unwrap();
            let owner = fs::metadata(&path).unwrap();
            write(&path, "new");
            assert_eq!(mode(&path), permissions);
            let now = fs::metadata(&path).unwrap();
            assert_eq!((now.uid(), now.gid()), (owner.uid(), owner.gid()));
        }
    }

    #[test]
    fn pipe_receives_the_content_and_stays_a_pipe() {
        let directory = Directory::new();
        let path = directory.path("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read_to_string(path).unwrap()
        });
        write(&path, "through the pipe");
        assert_eq!(reader.join().unwrap(), "through the pipe");
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
        assert_eq!(directory.names(), ["pipe"]);
    }

    #[test]
    fn device_receives_the_content_and_stays_a_device() {
        write(Path::new("/dev/null"), "nothing");
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[test]
    fn unfinished_files_are_removed_on_request() {
        let directory = Directory::new();
        // Other tests of this process have unfinished files, so this test does not call the function that removes all.
        let file = OutputFile::create(&directory.path("new")).unwrap();
        let Destination::Replace { temporary, .. } = &file.destination else { panic!("{file:?}") };
        assert!(UNFINISHED.lock().unwrap().contains(temporary));
        let temporary = temporary.clone();
        file.finish().unwrap();
        assert!(!UNFINISHED.lock().unwrap().contains(&temporary));
    }
}
