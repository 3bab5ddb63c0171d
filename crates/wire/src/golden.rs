//! Golden files: released formats do not change.

/// Compares with `golden/NAME.hex`; `UPDATE_GOLDEN=1` writes a file that does not exist yet.
#[expect(clippy::disallowed_methods, reason = "golden files are files")]
pub(crate) fn compare(name: &str, bytes: &[u8]) {
    let path = format!("{}/golden/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if std::env::var_os("UPDATE_GOLDEN").is_some() => {
            std::fs::write(&path, format!("{hex}\n")).expect("writable");
            return;
        }
        Err(error) => panic!("{path}: {error}"),
    };
    assert_eq!(text.trim(), hex, "{name}: a released format must not change");
}
