//! Walk order, on whole paths.

use std::cmp::Ordering;

/// Compares two paths in walk order: in each directory first everything but directories, by
/// name, then each sub-directory with all that is in it, by name.
pub(crate) fn walk_order(a: (&[u8], bool), b: (&[u8], bool)) -> Ordering {
    let ((a, a_directory), (b, b_directory)) = (a, b);
    let common = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let start = a[..common].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let ((a_name, a_deeper), (b_name, b_deeper)) = (first(&a[start..]), first(&b[start..]));
    let (a_class, b_class) = (a_directory || a_deeper, b_directory || b_deeper);
    a_class.cmp(&b_class).then_with(|| a_name.cmp(b_name)).then_with(|| a_deeper.cmp(&b_deeper))
}

fn first(path: &[u8]) -> (&[u8], bool) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(at) => (&path[..at], true),
        None => (path, false),
    }
}

/// The directory a path is in, empty for the root, and its name there.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

/// The path of `name` in `directory`.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    if !directory.is_empty() {
        path.extend_from_slice(directory);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// A path for people.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_before_directories_and_a_directory_before_what_is_in_it() {
        let walk: [(&[u8], bool); 9] = [
            (b"b", false),
            (b"z", false),
            (b"a", true),
            (b"a/x", false),
            (b"a/b", true),
            (b"a/b/c", false),
            (b"a-", true),
            (b"a-/q", false),
            (b"b", true),
        ];
        for (i, a) in walk.iter().enumerate() {
            for (j, b) in walk.iter().enumerate() {
                assert_eq!(walk_order(*a, *b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn split_and_join_are_inverse() {
        for path in [&b"a"[..], b"a/b", b"a/b/c"] {
            let (directory, name) = split(path);
            assert_eq!(join(directory, name), path);
        }
    }
}
