//! Words of a text map with their places. Brackets are words of their own, everything else ends at white space.

use super::Error;

/// One word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) word: &'a str,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Token<'_> {
    /// An error at this word.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error { line: self.line, column: self.column, message: message.into() }
    }
}

/// The words of a text, read one after the other.
pub(super) struct Tokens<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    /// Where the text ends, for errors there.
    end: Token<'a>,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut tokens = Vec::new();
        let mut last_line = 1;
        let mut last_column = 1;
        for (number, line) in text.lines().enumerate() {
            let content = line.split('#').next().unwrap_or_default();
            last_line = number + 1;
            last_column = content.len() + 1;
            let mut start = None;
            for (offset, character) in content.char_indices().chain([(content.len(), ' ')]) {
                let is_bracket = matches!(character, '{' | '}' | '[' | ']');
                if (character.is_whitespace() || is_bracket)
                    && let Some(from) = start.take()
                {
                    tokens.push(Token { word: &content[from..offset], line: number + 1, column: from + 1 });
                }
                if is_bracket {
                    tokens.push(Token { word: &content[offset..=offset], line: number + 1, column: offset + 1 });
                } else if !character.is_whitespace() && start.is_none() {
                    start = Some(offset);
                }
            }
        }
        Self { tokens, at: 0, end: Token { word: "", line: last_line, column: last_column } }
    }

    /// The next word, not consumed; the empty word at the end.
    pub(super) fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).copied().unwrap_or(self.end)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The next word.
    pub(super) fn next(&mut self, what: &str) -> Result<Token<'a>, Error> {
        let token = self.peek();
        if self.is_at_end() {
            return Err(token.error(format!("the text ends where {what} should be")));
        }
        self.at += 1;
        Ok(token)
    }

    /// Consumes the next word if it is this one.
    pub(super) fn accept(&mut self, word: &str) -> bool {
        let is_it = !self.is_at_end() && self.peek().word == word;
        self.at += usize::from(is_it);
        is_it
    }

    /// Consumes the next word, which must be this one.
    pub(super) fn expect(&mut self, word: &str) -> Result<Token<'a>, Error> {
        let token = self.next(&format!("'{word}'"))?;
        if token.word != word {
            return Err(token.error(format!("found '{}' where '{word}' should be", token.word)));
        }
        Ok(token)
    }

    /// A name: letters, digits, `-`, `_`, `.`.
    pub(super) fn name(&mut self, what: &str) -> Result<Token<'a>, Error> {
        let token = self.next(what)?;
        if !crate::edit::is_valid_name(token.word) {
            return Err(token.error(format!("'{}' cannot be {what}", token.word)));
        }
        Ok(token)
    }

    /// A whole number of a type that bounds it.
    pub(super) fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<(T, Token<'a>), Error> {
        let token = self.next(what)?;
        let number = token.word.parse().map_err(|_| token.error(format!("'{}' cannot be {what}", token.word)))?;
        Ok((number, token))
    }

    /// A decimal number as 16.16 fixed point.
    pub(super) fn weight(&mut self) -> Result<(u32, Token<'a>), Error> {
        let token = self.next("a weight")?;
        let weight = crate::weight::parse(token.word)
            .ok_or_else(|| token.error(format!("'{}' cannot be a weight", token.word)))?;
        Ok((weight, token))
    }
}
