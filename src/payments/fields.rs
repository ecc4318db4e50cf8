//! Named fields and the text of them that Alipay and UnionPay sign: sorted by name, `name=value`, joined by `&`, the values as they are.

use std::collections::BTreeMap;

/// Fields by name; sorted by the bytes of the names.
pub type Fields = BTreeMap<String, String>;

/// Fields whose names and values are known here.
pub fn fields<const N: usize>(pairs: [(&str, &str); N]) -> Fields {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The text that is signed: all fields but those `without` and those without a value.
pub fn signed_text(fields: &Fields, without: &[&str]) -> String {
    join(fields.iter().filter(|(name, value)| !value.is_empty() && !without.contains(&name.as_str())))
}

/// As [`signed_text`], with the fields that have no value.
pub fn signed_text_with_empty(fields: &Fields, without: &[&str]) -> String {
    join(fields.iter().filter(|(name, _)| !without.contains(&name.as_str())))
}

fn join<'a>(fields: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// `application/x-www-form-urlencoded`.
pub fn encode_form(fields: &Fields) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A form's fields, decoded once and otherwise left as they came; none when it gives a field two values. What is not UTF-8 is replaced, so
/// no signature fits it.
pub fn decode_form(body: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    for (name, value) in form_urlencoded::parse(body) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return None;
        }
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sorted_by_the_bytes_of_their_names_and_empty_ones_dropped() {
        let some = fields([("b", "2"), ("a_b", "x&y=z"), ("aB", "1 +%"), ("sign", "s"), ("empty", "")]);
        assert_eq!(signed_text(&some, &["sign"]), "aB=1 +%&a_b=x&y=z&b=2");
        assert_eq!(signed_text_with_empty(&some, &["sign", "b"]), "aB=1 +%&a_b=x&y=z&empty=");
    }

    #[test]
    fn a_form_is_decoded_once() {
        let body = b"subject=%E6%9C%88%E5%AD%90+A%2BB+100%2525&passback=a%253Db&quote=%26quot%3B&none=&alone";
        let expected = fields([
            ("subject", "月子 A+B 100%25"),
            ("passback", "a%3Db"),
            ("quote", "&quot;"),
            ("none", ""),
            ("alone", ""),
        ]);
        assert_eq!(decode_form(body), Some(expected));
        assert_eq!(decode_form(b"a=1&b=2&a=1"), None, "which of the two was signed?");
    }

    #[test]
    fn what_is_encoded_reads_back() {
        let some = fields([("sign", "a+b/c=="), ("subject", "50% &quot; 护理\n"), ("空", "")]);
        assert_eq!(decode_form(encode_form(&some).as_bytes()), Some(some));
    }
}
