//! `Consistency-Token`: what a client has written or read, so that no answer may show less (rule 13).
//!
//! A source hands one out with every mutation, this service with every page: the versions that it shows. Sent along with
//! the next request, to whichever replica, they make it answer with a page that reflects them.

use axum::http::{HeaderMap, HeaderName};
use event_bus::{Incarnation, Nonce};
use fresh_cache::{Claim, SourceId, Token, Version};

use crate::key::AccountId;
use crate::source::Source;

/// The header's name.
pub(crate) const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
/// More than a client that follows one page has any use for.
const MOST: usize = 64;

/// The tokens that speak of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens(pub(crate) Vec<Token<AccountId>>);

/// A token is not `<source>/<account>/<incarnation>=<revision>-<nonce>`, with `-<claim>` behind it or not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token is <source>/<account>/<incarnation>=<revision>-<nonce> or the same with -<claim> behind it, at most {MOST} of them, separated by commas"
)]
pub(crate) struct NotAToken;

impl Tokens {
    /// Reads the tokens of a request; those of other accounts are understood and left out.
    pub(crate) fn read(headers: &HeaderMap, account: AccountId) -> Result<Self, NotAToken> {
        let mut tokens = Vec::new();
        for line in headers.get_all(CONSISTENCY_TOKEN) {
            let line = line.to_str().map_err(|_| NotAToken)?;
            for word in line.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                if tokens.len() == MOST {
                    return Err(NotAToken);
                }
                tokens.push(parse(word).ok_or(NotAToken)?);
            }
        }
        tokens.retain(|token: &Token<AccountId>| token.entity == account);
        Ok(Self(tokens))
    }
}

fn parse(word: &str) -> Option<Token<AccountId>> {
    let (of, state) = word.split_once('=')?;
    let mut state = state.split('-');
    let (revision, nonce) = (state.next()?, state.next()?);
    let claim = match state.next() {
        Some(claim) => Some(Claim(claim.parse::<event_bus::Claim>().ok()?.0)),
        None => None,
    };
    let mut names = of.split('/');
    let (source, account, incarnation) = (names.next()?, names.next()?, names.next()?);
    let source = Source::ALL.into_iter().find(|known| known.name() == source)?;
    let digits = revision.bytes().all(|byte| byte.is_ascii_digit());
    if names.next().is_some() || state.next().is_some() || !digits {
        return None;
    }
    let version = Version {
        incarnation: incarnation.parse::<Incarnation>().ok()?.0,
        revision: revision.parse().ok()?,
        nonce: nonce.parse::<Nonce>().ok()?.0,
    };
    Some(Token {
        source: SourceId(source.index()),
        entity: account.parse().ok()?,
        version,
        claim,
    })
}

/// The tokens of what a page shows.
pub(crate) fn write(
    account: AccountId,
    shown: impl Iterator<Item = (Source, Version, Option<Claim>)>,
) -> String {
    let words = shown.map(|(source, version, claim)| {
        let Version {
            incarnation,
            revision,
            nonce,
        } = version;
        let claim = claim.map_or_else(String::new, |Claim(claim)| format!("-{claim:016x}"));
        format!("{source}/{account}/{incarnation:032x}={revision}-{nonce:016x}{claim}")
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199f7c5a1b27cc38d4e5f6071829304";
    const NONCE: &str = "9f86d081884c7d65";

    fn read(lines: &[&str]) -> Result<Tokens, NotAToken> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONSISTENCY_TOKEN, line.parse().unwrap());
        }
        Tokens::read(&headers, "7".parse().unwrap())
    }

    #[test]
    fn what_is_written_is_read_back_and_other_accounts_are_left_out() {
        let version = |revision| Version {
            incarnation: u128::from_str_radix(ID, 16).unwrap(),
            revision,
            nonce: 0x9f86_d081_884c_7d65,
        };
        let claim = Some(Claim(0x5fec_eb66_ffc8_6f38));
        let shown = [
            (Source::Accounts, version(3), claim),
            (Source::Metrics, version(0), None),
        ];
        let text = write("7".parse().unwrap(), shown.into_iter());
        let token = |source, version, claim| Token {
            source: SourceId(source),
            entity: "7".parse().unwrap(),
            version,
            claim,
        };
        let expected = Tokens(vec![token(0, version(3), claim), token(2, version(0), None)]);
        assert_eq!(read(&[&text]), Ok(expected.clone()));
        let other = format!("endpoints/8/{ID}=5-{NONCE}");
        assert_eq!(read(&[&other, &text, ""]), Ok(expected));
        assert_eq!(read(&[]), Ok(Tokens::default()));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for word in [
            "accounts".to_owned(),
            format!("page/7/{ID}=1-{NONCE}"),
            format!("accounts/07/{ID}=1-{NONCE}"),
            format!("accounts/7/{ID}"),
            format!("accounts/7/{ID}=1"),
            format!("accounts/7/{ID}=1-{}", &NONCE[1..]),
            format!("accounts/7/{ID}=-{NONCE}"),
            format!("accounts/7/{ID}=-1-{NONCE}"),
            format!("accounts/7/{ID}=99999999999999999999-{NONCE}"),
            format!("accounts/7/{}=1-{NONCE}", &ID[1..]),
            format!("accounts/7/{ID}/8=1-{NONCE}"),
            format!("accounts/7/{ID}=1-{NONCE}-1"),
            format!("accounts/7/{ID}=1-{NONCE}-{NONCE}-{NONCE}"),
            format!("accounts/7/{ID}=1-{NONCE}; accounts/7/{ID}=2-{NONCE}"),
        ] {
            assert_eq!(read(&[&word]), Err(NotAToken), "{word}");
        }
        assert_eq!(
            read(&[&vec![format!("accounts/7/{ID}=1-{NONCE}"); 65].join(",")]),
            Err(NotAToken)
        );
    }
}
