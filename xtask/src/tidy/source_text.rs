//! Rust source as text that rules can search: comments, strings and test modules blanked, `use` trees spelled out.
//!
//! Not a parser. It knows the tokens that can hide others (comments, strings, character literals) and the balance of
//! brackets; line numbers stay those of the file.

/// The source with comments and the contents of strings replaced by spaces.
pub(super) fn without_comments_and_strings(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut kept = String::with_capacity(text.len());
    let mut index = 0;
    while index < letters.len() {
        let end = hidden_end(&letters, index);
        if end == index {
            kept.push(letters[index]);
            index += 1;
        } else {
            kept.extend(letters[index..end].iter().map(|letter| if *letter == '\n' { '\n' } else { ' ' }));
            index = end;
        }
    }
    kept
}

/// Where the comment, string or character literal that begins here ends; `begin` itself when none does.
fn hidden_end(letters: &[char], begin: usize) -> usize {
    let at = |index: usize| letters.get(index).copied().unwrap_or('\0');
    let find = |from: usize, wanted: &dyn Fn(usize) -> bool| {
        (from..letters.len()).find(|index| wanted(*index)).unwrap_or(letters.len())
    };
    let follows_word = begin > 0 && (at(begin - 1).is_alphanumeric() || at(begin - 1) == '_');
    match (at(begin), at(begin + 1)) {
        ('/', '/') => find(begin, &|index| at(index) == '\n'),
        ('/', '*') => {
            let (mut depth, mut index) = (1, begin + 2);
            while depth > 0 && index < letters.len() {
                match (at(index), at(index + 1)) {
                    ('/', '*') => (depth, index) = (depth + 1, index + 2),
                    ('*', '/') => (depth, index) = (depth - 1, index + 2),
                    _ => index += 1,
                }
            }
            index
        }
        ('r', '"' | '#') | ('b', 'r') if !follows_word => {
            let hashes_begin = begin + if at(begin) == 'b' { 2 } else { 1 };
            let quote = find(hashes_begin, &|index| at(index) != '#');
            if at(quote) != '"' {
                return begin;
            }
            let hashes = quote - hashes_begin;
            let close =
                find(quote + 1, &|index| at(index) == '"' && (1..=hashes).all(|offset| at(index + offset) == '#'));
            (close + 1 + hashes).min(letters.len())
        }
        ('"', _) => {
            let mut index = begin + 1;
            while index < letters.len() && at(index) != '"' {
                index += if at(index) == '\\' { 2 } else { 1 };
            }
            (index + 1).min(letters.len())
        }
        ('\'', '\\') => find(begin + 3, &|index| at(index) == '\'') + 1,
        ('\'', _) if at(begin + 2) == '\'' => begin + 3,
        _ => begin,
    }
}

/// The searchable source without items under `#[cfg(test)]`.
pub(super) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(begin) = rest.find(MARK) {
        let after = &rest[begin + MARK.len()..];
        let length = item_length(after);
        kept += &rest[..begin];
        kept.extend(rest[begin..begin + MARK.len() + length].chars().filter(|letter| *letter == '\n'));
        rest = &after[length..];
    }
    kept + rest
}

/// How many bytes the first item takes: up to a semicolon or the end of a brace block, both outside other brackets.
pub(super) fn item_length(code: &str) -> usize {
    let mut depth = 0usize;
    let is_use = first_words(code).contains(&"use");
    for (index, letter) in code.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                // The braces of a use tree are followed by its semicolon.
                if depth == 0 && letter == '}' && !is_use {
                    return index + 1;
                }
            }
            ';' if depth == 0 => return index + 1,
            _ => {}
        }
    }
    code.len()
}

/// The item's words up to its name, without attributes and visibility: `["mod", "pg"]`, `["use", "std"]`.
pub(super) fn first_words(item: &str) -> Vec<&str> {
    let mut rest = item.trim_start();
    loop {
        let after = rest.strip_prefix("#!").or_else(|| rest.strip_prefix('#'));
        if let Some(after) = after.filter(|after| after.trim_start().starts_with('[')) {
            rest = after[bracket_length(after)..].trim_start();
        } else if let Some(after) = rest.strip_prefix("pub") {
            let after = after.trim_start();
            rest = if after.starts_with('(') { after[bracket_length(after)..].trim_start() } else { after };
        } else {
            break;
        }
    }
    let words = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty());
    words.take(2).collect()
}

/// How many bytes the first bracket with all in it takes, with what stands before it.
fn bracket_length(code: &str) -> usize {
    let mut depth = 0usize;
    for (index, letter) in code.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Every path that the searchable source names, with its line: those of `use` trees in full, others as they stand.
pub(super) fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut rest = code;
    let mut line = 1;
    while let Some(begin) = rest.find(|letter: char| letter.is_alphabetic() || letter == '_') {
        line += count_lines(&rest[..begin]);
        rest = &rest[begin..];
        let end = rest.find(|letter: char| !is_path_letter(letter)).unwrap_or(rest.len());
        let word = &rest[..end];
        if word == "use" {
            let length = rest.find(';').unwrap_or(rest.len());
            expand_use(&rest[end..length], "", line, &mut found);
            line += count_lines(&rest[..length]);
            rest = &rest[length..];
        } else {
            found.push((line, word.to_owned()));
            rest = &rest[end..];
        }
    }
    found
}

fn is_path_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == ':'
}

fn count_lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Spells out `a::{b, c::{d, e as f}}`, each path with the line on which its end stands.
fn expand_use(tree: &str, prefix: &str, line: usize, found: &mut Vec<(usize, String)>) {
    let mut depth = 0usize;
    let mut begin = 0;
    let mut branches = Vec::new();
    for (index, letter) in tree.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                branches.push((begin, &tree[begin..index]));
                begin = index + 1;
            }
            _ => {}
        }
    }
    branches.push((begin, &tree[begin..]));
    for (offset, branch) in branches {
        let leading = branch.len() - branch.trim_start().len();
        let line = line + count_lines(&tree[..offset + leading]);
        let branch = branch.trim();
        if let Some((head, group)) = branch.split_once('{') {
            let inner = group.rsplit_once('}').map_or(group, |(inner, _)| inner);
            expand_use(inner, &format!("{prefix}{}", head.trim()), line, found);
        } else if !branch.is_empty() {
            let path = branch.split_whitespace().next().unwrap_or(branch);
            let path = if path == "self" { prefix.trim_end_matches(':').to_owned() } else { format!("{prefix}{path}") };
            found.push((line, path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_blanked() {
        let text = "a // x\n/* y /* z */ */ b \"c \\\" d\" 'e' '\\'' &'f g r#\"h \" i\"# br\"j\" variable";
        let code = without_comments_and_strings(text);
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "b", "&'f", "g", "variable"]);
        assert_eq!(code.lines().count(), 2);
    }

    #[test]
    fn tests_are_left_out_and_lines_stay() {
        let code =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { c(); }\n}\nfn d() {}\n#[cfg(test)]\nmod more;\nfn e() {}";
        let kept = without_tests(code);
        assert!(kept.contains("fn a") && kept.contains("fn d") && kept.contains("fn e"));
        assert!(!kept.contains("fn b") && !kept.contains("more"));
        assert_eq!(kept.lines().position(|line| line == "fn d() {}"), Some(5));
    }

    #[test]
    fn use_trees_are_spelled_out_with_their_lines() {
        let code = "use std::{\n    fs,\n    time::{self, Instant},\n};\nlet x = std::net::TcpStream::connect;\npub use a as b;";
        let found = paths(code);
        for expected in
            [(2, "std::fs"), (3, "std::time"), (3, "std::time::Instant"), (5, "std::net::TcpStream::connect"), (6, "a")]
        {
            assert!(found.contains(&(expected.0, expected.1.to_owned())), "{expected:?} {found:?}");
        }
    }

    #[test]
    fn items_begin_with_their_words() {
        assert_eq!(first_words("#[cfg(x)]\n#[path = 1]\npub(crate) mod pg;"), ["mod", "pg"]);
        assert_eq!(first_words("pub use std::fs;"), ["use", "std"]);
        let code = "pub use a::{b, c};\nmod d;";
        assert_eq!(&code[..item_length(code)], "pub use a::{b, c};");
    }
}
