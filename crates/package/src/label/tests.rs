use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Expression {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn fits(text: &str, labels: &[&str]) -> bool {
    let labels = labels.iter().map(|text| text.parse::<Label>().expect("a label"));
    parsed(text).fits(&labels.map(|label| (label.key, label.value)).collect())
}

#[test]
fn expressions_choose_machines() {
    assert!(fits("site=berlin & !(lab | ring=0)", &["site=berlin", "ring=1"]));
    assert!(!fits("site=berlin & !(lab | ring=0)", &["site=berlin", "lab"]));
    assert!(!fits("site=berlin & !(lab | ring=0)", &["site=berlin", "ring=0"]));
    assert!(!fits("site=berlin & !(lab | ring=0)", &["site=paris"]));
    assert!(fits("a | b & c", &["a"]), "& binds closer than |");
    assert!(!fits("(a | b) & c", &["a"]));
    assert!(fits("lab=", &["lab"]) && !fits("lab=", &["lab=x"]) && fits("lab", &["lab=x"]));
    assert!(fits("!a & b", &["b"]), "! binds closest");
}

#[test]
fn an_expression_shows_itself_with_the_parentheses_it_needs() {
    for (text, shown) in [
        ("a", "a"),
        ("((a))", "a"),
        (" a&b|c ", "a & b | c"),
        ("a & (b|c)", "a & (b | c)"),
        ("(a&b)&c", "(a & b) & c"),
        ("(a|b)|c", "(a | b) | c"),
        ("!(a)&!!b", "!a & !!b"),
        ("!(a&b)", "!(a & b)"),
        ("site=\t", "site="),
    ] {
        assert_eq!(parsed(text).to_string(), shown, "{text}");
    }
}

#[test]
fn mistakes_in_an_expression_say_where_and_what_belongs_there() {
    let told = |text: &str| {
        let error = text.parse::<Expression>().expect_err(text);
        (error.offset(), error.to_string())
    };
    for (text, offset, message) in [
        ("", 0, "the end at byte 0, where a label, ! or a parenthesis belongs"),
        ("a &", 3, "the end at byte 3, where a label, ! or a parenthesis belongs"),
        ("a b", 2, "'b' at byte 2, where & or |, or the end, belongs"),
        ("a && b", 3, "'&' at byte 3, where a label, ! or a parenthesis belongs"),
        ("a = b", 2, "'=' at byte 2, where & or |, or the end, belongs"),
        ("a)", 1, "')' at byte 1, where & or |, or the end, belongs"),
        ("x & (a | b", 4, "the parenthesis at byte 4 is not closed"),
        ("(a b)", 3, "'b' at byte 3, where & or | or a closing parenthesis belongs"),
        ("größe", 2, "'ö' at byte 2, where & or |, or the end, belongs"),
    ] {
        assert_eq!(told(text), (offset, message.to_owned()), "{text}");
    }
    assert_eq!(told(&format!("a={}", "x".repeat(65))).0, 2);
    assert_eq!(told(&format!("{}a", "!".repeat(33))).0, 32);
    assert!(format!("{}a", "!".repeat(32)).parse::<Expression>().is_ok());
    assert!("(".repeat(4096).parse::<Expression>().is_err());
    let long = vec!["a"; 257].join("&");
    assert_eq!(long.parse::<Expression>(), Err(ParseExpressionError::TooLong));
    assert_eq!(
        vec!["a"; 256].join("&").parse::<Expression>().expect("fits").to_string().len(),
        1021
    );
    assert_eq!("a ".repeat(3000).parse::<Expression>(), Err(ParseExpressionError::TooLong));
}

#[test]
fn labels_are_a_key_and_perhaps_a_value() {
    let shown = |text: &str| text.parse::<Label>().map(|label| label.to_string());
    for text in ["lab", "site=berlin", "a.b_c-D=1.2"] {
        assert_eq!(shown(text), Ok(text.to_owned()));
    }
    assert_eq!(shown("lab="), Ok("lab".into()));
    assert_eq!(shown("=x"), Err(ParseLabelError::NoKey));
    assert_eq!(shown(""), Err(ParseLabelError::NoKey));
    assert_eq!(shown("a=b=c"), Err(ParseLabelError::Character { offset: 3, found: '=' }));
    assert_eq!(shown("a b"), Err(ParseLabelError::Character { offset: 1, found: ' ' }));
    assert_eq!(shown(&"k".repeat(65)), Err(ParseLabelError::TooLong { offset: 0 }));
    assert_eq!(
        shown(&format!("k={}", "v".repeat(65))),
        Err(ParseLabelError::TooLong { offset: 2 })
    );
}

/// Expressions as a parser makes them.
pub(crate) fn any_expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        "[A-Za-z0-9._-]{1,5}".prop_map(Expression::Has),
        ("[A-Za-z0-9._-]{1,5}", "[A-Za-z0-9._-]{0,5}")
            .prop_map(|(key, value)| Expression::Is(key, value)),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.prop_map(|one| Expression::Not(Box::new(one))),
            list.clone().prop_map(Expression::All),
            list.prop_map(Expression::Any),
        ]
    })
}

proptest! {
    #[test]
    fn every_expression_parses_back_to_itself(expression in any_expression()) {
        prop_assert_eq!(expression.to_string().parse(), Ok(expression));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[ab=&|!() .é]{0,40}") {
        if let Ok(expression) = text.parse::<Expression>() {
            prop_assert_eq!(expression.to_string().parse(), Ok(expression));
        }
    }
}
