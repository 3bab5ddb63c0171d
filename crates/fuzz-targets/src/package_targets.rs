//! Targets for the decoders and parsers of the `package` crate.

use package::label::Expression;
use package::specification::FILE_NAME;
use package::{Package, Receipt, Specification};

use crate::{Verdict, same};

/// The instructions of a package.
#[must_use]
pub fn package_instructions(bytes: &[u8]) -> Verdict {
    let package = Package::decode(bytes).ok();
    same(package.map(|package| package.encode().expect("decoded, so every bound holds")), bytes)
}

/// A receipt.
#[must_use]
pub fn package_receipt(bytes: &[u8]) -> Verdict {
    let receipt = Receipt::decode(bytes).ok();
    same(receipt.map(|receipt| receipt.encode().expect("decoded, so every bound holds")), bytes)
}

/// A specification in TOML. What is taken can be written as instructions; of what is not, every
/// mistake has a place in the text and can be shown.
#[must_use]
pub fn package_specification(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    match Specification::parse(text) {
        Ok(specification) => {
            let package = &specification.package;
            let again = Package::decode(&package.encode().expect("every bound holds"));
            assert_eq!(again.as_ref(), Ok(package));
            Verdict::Accepted
        }
        Err(found) => {
            assert!(!found.is_empty(), "refused for no reason");
            for one in &found {
                assert!(text.get(one.span.clone()).is_some(), "{one:?} is not in the text");
                assert!(
                    !one.render(FILE_NAME, text)
                        .chars()
                        .any(|sign| sign.is_control() && sign != '\n')
                );
            }
            assert!(found.is_sorted_by_key(|one| one.span.start), "they stand in their order");
            Verdict::Refused
        }
    }
}

/// An expression over labels: what it shows is the one spelling of it.
#[must_use]
pub fn label_expression(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    match text.parse::<Expression>() {
        Ok(expression) => {
            assert_eq!(expression.to_string().parse(), Ok(expression));
            Verdict::Accepted
        }
        Err(error) => {
            assert!(text.is_char_boundary(error.offset()), "{error:?} is not in the text");
            Verdict::Refused
        }
    }
}
