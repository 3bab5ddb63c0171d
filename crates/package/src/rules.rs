//! What single values of instructions, receipts and specifications have to be.
//!
//! Each function returns the rule that a value breaks, for people; `docs/format.md`, section 13,
//! has the same rules.

use crate::instructions::INSTRUCTIONS;

/// The longest name of a package and the longest version, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// The longest name of a step, in bytes.
pub(crate) const STEP_NAME_BYTES_MAX: usize = 128;
/// The longest path, in bytes: PATH_MAX of Linux without its zero byte.
pub(crate) const PATH_BYTES_MAX: usize = 4095;
/// The longest argument or value of a variable, in bytes; Linux takes four times as much.
pub(crate) const ARGUMENT_BYTES_MAX: usize = 32_768;

/// The rule that was broken.
pub(crate) type Rule = Result<(), &'static str>;

fn require(is_kept: bool, rule: &'static str) -> Rule {
    if is_kept { Ok(()) } else { Err(rule) }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// The name of a package.
pub(crate) fn package_name(name: &str) -> Rule {
    let begins = name.bytes().next().is_some_and(is_plain);
    require(
        begins
            && name.len() <= NAME_BYTES_MAX
            && name.bytes().all(|byte| is_plain(byte) || b"._-".contains(&byte)),
        "a name has 1 to 64 of a-z, 0-9 and ._- , and begins with a letter or digit",
    )
}

/// The version of a package.
pub(crate) fn version(version: &str) -> Rule {
    require(
        (1..=NAME_BYTES_MAX).contains(&version.len())
            && version.trim() == version
            && !version.contains(char::is_control),
        "a version has 1 to 64 bytes, no control characters and no space at its ends",
    )
}

/// The name of a step.
pub(crate) fn step_name(name: &str) -> Rule {
    require(
        (1..=STEP_NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control),
        "the name of a step has 1 to 128 bytes and no control characters",
    )
}

/// An operating system or architecture.
pub(crate) fn system(name: &str) -> Rule {
    require(
        (1..=32).contains(&name.len()) && name.bytes().all(|byte| is_plain(byte) || byte == b'_'),
        "the name of a system has 1 to 32 of a-z, 0-9 and _",
    )
}

fn parts(path: &str) -> Rule {
    require(path.len() <= PATH_BYTES_MAX, "a path has at most 4095 bytes")?;
    require(!path.contains(char::is_control), "a path has no control characters")?;
    for part in path.split('/') {
        require(
            !part.is_empty(),
            "a path has single slashes between its parts, and none behind them",
        )?;
        require(part != "." && part != "..", "a path has no . and no ..")?;
    }
    Ok(())
}

/// A path on the machine.
pub(crate) fn absolute_path(path: &str) -> Rule {
    let Some(beneath) = path.strip_prefix('/') else {
        return Err("a path on the machine is absolute: it begins with /");
    };
    if beneath.is_empty() {
        Ok(())
    } else {
        parts(beneath)?;
        require(path.len() <= PATH_BYTES_MAX, "a path has at most 4095 bytes")
    }
}

/// A path in the package's tree.
pub(crate) fn tree_path(path: &str) -> Rule {
    parts(path)?;
    require(path != INSTRUCTIONS, "package.cbor is the instructions and nothing else")
}

/// The name of a user or group.
pub(crate) fn account(name: &str) -> Rule {
    require(
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'),
        "the name of a user or group has 1 to 64 visible ASCII characters and no colon",
    )
}

/// The name of a variable in the environment.
pub(crate) fn variable(name: &str) -> Rule {
    require(
        (1..=128).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.as_bytes()[0].is_ascii_digit(),
        "a variable has 1 to 128 of A-Z, a-z, 0-9 and _, and does not begin with a digit",
    )
}

/// An argument, or the value of a variable.
pub(crate) fn argument(text: &str) -> Rule {
    require(text.len() <= ARGUMENT_BYTES_MAX, "it has at most 32768 bytes")?;
    require(!text.contains('\0'), "it has no zero byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_what_the_format_says() {
        for (rule, right, wrong) in [
            (
                package_name as fn(&str) -> Rule,
                &["a", "0.x_y-z"][..],
                &["", "A", "-a", "a b", "ä", ".a"][..],
            ),
            (version, &["1.4.2", "v 1"], &["", " 1", "1 ", "1\n2"]),
            (step_name, &["Grüße an alle"], &["", "a\tb"]),
            (system, &["linux", "x86_64"], &["", "Linux", "x86-64"]),
            (
                absolute_path,
                &["/", "/a", "/a/b c"],
                &["", "a", "//", "/a/", "/a//b", "/./a", "/a/..", "/a\n"],
            ),
            (tree_path, &["a", "contents/0"], &["", "/a", "a/", "a/../b", "./a", "package.cbor"]),
            (account, &["root", "1000", "DOMAIN\\x"], &["", "a b", "a:b", "ä"]),
            (variable, &["A", "_a9"], &["", "9a", "a-b", "a=b"]),
            (argument, &["", "a\nb"], &["a\0b"]),
        ] {
            for text in right {
                assert_eq!(rule(text), Ok(()), "{text:?}");
            }
            for text in wrong {
                assert!(rule(text).is_err(), "{text:?}");
            }
        }
        for (rule, start, longest) in [
            (package_name as fn(&str) -> Rule, "a", 64),
            (version, "a", 64),
            (step_name, "a", 128),
            (system, "a", 32),
            (absolute_path, "/", 4095),
            (tree_path, "a", 4095),
            (account, "a", 64),
            (variable, "a", 128),
            (argument, "a", 32_768),
        ] {
            let text = |length: usize| format!("{start}{}", "a".repeat(length - 1));
            assert_eq!(rule(&text(longest)), Ok(()));
            assert!(rule(&text(longest + 1)).is_err(), "{longest}");
        }
    }
}
