//! What a search word is compared with: literal pieces of a name, its full pinyin and its initials.

use std::collections::BTreeSet;

use pinyin::ToPinyin;

/// Suffixes longer than this are cut; a search word is cut alike before it is looked up. In characters.
pub const SUFFIX_CHARACTERS_MAX: usize = 24;

/// Everything that a search for a row may begin with: all suffixes of its names, of their pinyin from each syllable on,
/// and of their initials, and all suffixes of its plain texts.
pub fn suffixes(names: &[&str], texts: &[&str]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in names {
        let name = folded(name);
        let syllables: Vec<String> = name
            .chars()
            .map(|c| c.to_pinyin().map_or_else(|| c.to_string(), |syllable| syllable.plain().to_owned()))
            .collect();
        let initials: String = syllables.iter().filter_map(|syllable| syllable.chars().next()).collect();
        add_suffixes(&name, &mut all);
        add_suffixes(&initials, &mut all);
        for start in 0..syllables.len() {
            all.insert(syllables[start..].concat().chars().take(SUFFIX_CHARACTERS_MAX).collect());
        }
    }
    for text in texts {
        add_suffixes(&folded(text), &mut all);
    }
    all
}

/// The word as it is looked up, as a prefix of the suffixes.
pub fn folded(word: &str) -> String {
    word.to_lowercase()
}

fn add_suffixes(text: &str, all: &mut BTreeSet<String>) {
    for (start, _) in text.char_indices() {
        all.insert(text[start..].chars().take(SUFFIX_CHARACTERS_MAX).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(name: &str, word: &str) -> bool {
        suffixes(&[name], &[]).iter().any(|suffix| suffix.starts_with(&folded(word)))
    }

    #[test]
    fn a_name_is_found_by_its_parts_its_pinyin_and_its_initials() {
        for word in ["张三", "三", "zs", "zhangsan", "zhang", "san", "ZhangS", "s"] {
            assert!(finds("张三", word), "{word}");
        }
        for word in ["李", "zhs", "%", "_", "angsan"] {
            assert!(!finds("张三", word), "{word}");
        }
        assert!(finds("Anna王", "nna"));
    }
}
