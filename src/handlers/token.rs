//! Tokens: who somebody says they are, and whether we said it.
//!
//! HS256 and nothing else, whatever a header claims. The library's own clock is switched off: time
//! is compared with the turn's. Issued before a user's `valid_from`, a token counts for nothing.
//! Where that number is remembered, [`Revocations`], no database is asked.

use std::collections::HashMap;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::text::is_unsafe;
use super::{Caller, scope};
use crate::store::model::{Role, User, UserId};

/// The claims of a token that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub user_id: UserId,
    /// Their name when it was issued.
    pub username: String,
    /// What they may do.
    pub role: Role,
    /// The scopes that the token itself has, where it says so; see [`scope`].
    pub scopes: Option<Vec<String>>,
    /// When it was issued, in Unix seconds. Some clients' tools make tokens without it.
    pub issued_at: Option<i64>,
}

/// Why a token is not accepted. Clients are told no more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadToken;

/// The key that tokens are signed with.
pub struct Keys {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

/// What our tokens say.
#[derive(Serialize)]
struct Issued<'a> {
    user_id: &'a str,
    username: &'a str,
    email: &'a str,
    role: Role,
    scopes: &'static [&'static str],
    iss: &'static str,
    sub: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: uuid::Uuid,
}

/// What is read of a token. Other programs write times with fractions, and leave members out.
#[derive(Deserialize)]
struct Presented {
    user_id: String,
    username: String,
    role: Option<String>,
    iss: Option<String>,
    sub: Option<String>,
    scopes: Option<Vec<String>>,
    iat: Option<f64>,
    nbf: Option<f64>,
    exp: f64,
}

impl Keys {
    /// Keys from a secret.
    pub fn new(secret: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self { signing: EncodingKey::from_secret(secret), checking: DecodingKey::from_secret(secret), validation }
    }

    /// A token for registering datagram addresses of a user, and for nothing else: it has an issuer of its
    /// own, and no other check takes that one.
    pub fn issue_for_datagrams(&self, caller: &Caller, now_s: i64, life_s: i64, id: uuid::Uuid) -> String {
        self.sign(&Issued {
            user_id: caller.id.as_str(),
            username: &caller.username,
            email: "",
            role: caller.role,
            scopes: &[],
            iss: DATAGRAM_ISSUER,
            sub: caller.id.as_str(),
            iat: now_s,
            nbf: now_s,
            exp: now_s + life_s,
            jti: id,
        })
    }

    /// A token for a user, good from `now_s` for `life_s` seconds. `id` makes it unlike any other.
    pub fn issue(&self, user: &User, now_s: i64, life_s: i64, id: uuid::Uuid) -> String {
        self.sign(&Issued {
            user_id: user.id.as_str(),
            username: &user.username,
            email: &user.email,
            role: user.role,
            scopes: scope::of(user.role),
            iss: ISSUER,
            sub: user.id.as_str(),
            iat: now_s,
            nbf: now_s,
            exp: now_s + life_s,
            jti: id,
        })
    }

    /// Signing with a fixed algorithm and plain claims has nothing that could fail.
    fn sign(&self, issued: &Issued<'_>) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), issued, &self.signing).unwrap_or_default()
    }

    /// Checks signature, issuer and times. `now_s` is in Unix seconds.
    pub fn check(&self, token: &str, now_s: i64) -> Result<Claims, BadToken> {
        self.check_from(token, now_s, |issuer| issuer.is_none_or(|issuer| issuer == ISSUER))
    }

    /// The same for a token that was made for datagrams.
    pub fn check_for_datagrams(&self, token: &str, now_s: i64) -> Result<Claims, BadToken> {
        self.check_from(token, now_s, |issuer| issuer == Some(DATAGRAM_ISSUER))
    }

    fn check_from(&self, token: &str, now_s: i64, is_ours: fn(Option<&str>) -> bool) -> Result<Claims, BadToken> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(BadToken);
        }
        let decoded =
            jsonwebtoken::decode::<Presented>(token, &self.checking, &self.validation).map_err(|_| BadToken)?;
        // Whoever makes a part of the header critical wants it refused where that part is not known
        // (RFC 7515, section 4.1.11), and here none is.
        if decoded.header.crit.is_some() {
            return Err(BadToken);
        }
        let presented = decoded.claims;
        let now = now_s as f64;
        let in_time = presented.exp > now && presented.nbf.is_none_or(|nbf| nbf <= now + LEEWAY_S);
        // One from the future would outlive every revocation until then.
        let issued = presented.iat.is_none_or(|iat| iat <= now + LEEWAY_S);
        let ours = is_ours(presented.iss.as_deref());
        let subject = presented.sub.is_none_or(|sub| sub == presented.user_id);
        if !(in_time && issued && ours && subject)
            || presented.username.is_empty()
            || presented.username.len() > NAME_BYTES_MAX
            || presented.username.contains(is_unsafe)
        {
            return Err(BadToken);
        }
        Ok(Claims {
            user_id: UserId::parse(&presented.user_id).ok_or(BadToken)?,
            username: presented.username,
            role: presented.role.as_deref().and_then(Role::parse).unwrap_or(Role::User),
            scopes: presented.scopes,
            issued_at: presented.iat.map(|iat| iat as i64),
        })
    }
}

/// From when each user's tokens count, where that is newer than the oldest token that could be alive.
#[derive(Debug, Default)]
pub struct Revocations {
    valid_from: HashMap<UserId, i64>,
}

impl Revocations {
    /// Notes that tokens of a user issued before `valid_from` are void. It never goes back.
    pub fn revoke(&mut self, user: UserId, valid_from: i64) {
        let known = self.valid_from.entry(user).or_insert(valid_from);
        *known = valid_from.max(*known);
    }

    /// From when a user's tokens count, if that is remembered.
    pub fn valid_from(&self, user: &UserId) -> Option<i64> {
        self.valid_from.get(user).copied()
    }

    /// Whether a token issued then still counts. One without that time counts until the first revocation.
    pub fn allow(&self, user: &UserId, issued_at: Option<i64>) -> bool {
        match (self.valid_from.get(user), issued_at) {
            (None, _) => true,
            (Some(valid_from), Some(issued_at)) => issued_at >= *valid_from,
            (Some(_), None) => false,
        }
    }

    /// Takes over what the store knows, and tells whose tokens that voided.
    pub fn merge(&mut self, stored: Vec<(UserId, i64)>) -> Vec<UserId> {
        let newer =
            |(user, valid_from): &(UserId, i64)| self.valid_from.get(user).is_none_or(|known| known < valid_from);
        let changed: Vec<_> = stored.into_iter().filter(newer).collect();
        changed.iter().for_each(|(user, valid_from)| self.revoke(user.clone(), *valid_from));
        changed.into_iter().map(|(user, _)| user).collect()
    }

    /// Forgets those that no living token can be older than.
    pub fn sweep(&mut self, oldest_token_s: i64) {
        self.valid_from.retain(|_, valid_from| *valid_from >= oldest_token_s);
    }
}

/// Who issues our tokens.
const ISSUER: &str = "mangahub";

/// Who issues those for datagrams.
const DATAGRAM_ISSUER: &str = "mangahub-udp";

/// A clock may be this much ahead of ours when it stamps `nbf`.
const LEEWAY_S: f64 = 5.0;

/// Ours have about 700 bytes; a longer one is not worth the hashing.
const TOKEN_BYTES_MAX: usize = 4096;

/// The longest name in a token that is believed.
const NAME_BYTES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn keys() -> Keys {
        Keys::new(b"an example secret of 32 bytes....")
    }

    fn user() -> User {
        User {
            id: UserId::parse("user-alice").unwrap(),
            username: "alice".into(),
            email: "alice@example.org".into(),
            password_hash: String::new(),
            role: Role::Admin,
            valid_from: 0,
            created_at: 0,
        }
    }

    fn signed(header: Header, claims: serde_json::Value) -> String {
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(b"an example secret of 32 bytes....")).unwrap()
    }

    /// What was issued is accepted for its life and not a second longer.
    #[test]
    fn a_token_lives_as_long_as_it_says() {
        let token = keys().issue(&user(), NOW, 60, uuid::Uuid::nil());
        let claims = keys().check(&token, NOW + 59).unwrap();
        assert_eq!((claims.user_id, claims.role, claims.issued_at), (user().id, Role::Admin, Some(NOW)));
        assert_eq!(keys().check(&token, NOW + 60), Err(BadToken));
        assert_eq!(keys().check(&token, NOW - 6), Err(BadToken), "it was used before its time");
    }

    /// Another key, another algorithm, no algorithm, a cut or padded token: all refused.
    #[test]
    fn forgeries_are_refused() {
        let token = keys().issue(&user(), NOW, 60, uuid::Uuid::nil());
        assert_eq!(Keys::new(b"another secret of thirty-two byte").check(&token, NOW), Err(BadToken));
        let claims = serde_json::json!({"user_id": "a", "username": "a", "exp": NOW + 60});
        assert!(keys().check(&signed(Header::new(Algorithm::HS256), claims.clone()), NOW).is_ok());
        assert_eq!(keys().check(&signed(Header::new(Algorithm::HS512), claims), NOW), Err(BadToken));
        let unsigned = "eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoiYSIsInVzZXJuYW1lIjoiYSIsImV4cCI6OTk5OTk5OTk5OX0.";
        for bad in [unsigned, "", ".", "a.b.c", &token[1..], &format!("{token}x"), &"a".repeat(10_000)] {
            assert_eq!(keys().check(bad, NOW), Err(BadToken), "{bad:.20}");
        }
    }

    /// A token of the first family's tools has three claims and is enough.
    #[test]
    fn three_claims_are_enough() {
        let claims = serde_json::json!({"user_id": "user-bob", "username": "bob", "exp": NOW + 60});
        let checked = keys().check(&signed(Header::new(Algorithm::HS256), claims), NOW).unwrap();
        assert_eq!((checked.role, checked.issued_at), (Role::User, None));
        let foreign = serde_json::json!({"user_id": "b", "username": "b", "exp": NOW + 60, "iss": "elsewhere"});
        assert_eq!(keys().check(&signed(Header::new(Algorithm::HS256), foreign), NOW), Err(BadToken));
    }

    /// A header that says that something in it must be understood, and a name that can't be shown: refused.
    #[test]
    fn what_is_not_understood_is_refused() {
        let claims = |username: &str| serde_json::json!({"user_id": "a", "username": username, "exp": NOW + 60});
        let plain = Header::new(Algorithm::HS256);
        for crit in [vec!["exp".to_owned()], vec![]] {
            let critical = Header { crit: Some(crit), ..plain.clone() };
            assert_eq!(keys().check(&signed(critical, claims("a")), NOW), Err(BadToken));
        }
        for name in ["a\nb", "\u{1b}[31m", "a\u{9b}", "\u{202e}evil", "a\u{2028}"] {
            assert_eq!(keys().check(&signed(plain.clone(), claims(name)), NOW), Err(BadToken), "{name:?}");
        }
        assert!(keys().check(&signed(plain, claims("Åsa Öberg")), NOW).is_ok());
    }

    /// A token for datagrams is good for those, and no other token is.
    #[test]
    fn each_token_has_its_use() {
        let caller = Caller { id: user().id, username: "alice".into(), role: Role::User };
        let token = keys().issue_for_datagrams(&caller, NOW, 600, uuid::Uuid::nil());
        assert_eq!(keys().check(&token, NOW), Err(BadToken));
        assert_eq!(keys().check_for_datagrams(&token, NOW + 599).unwrap().user_id, user().id);
        assert_eq!(keys().check_for_datagrams(&token, NOW + 600), Err(BadToken));
        let login = keys().issue(&user(), NOW, 600, uuid::Uuid::nil());
        assert_eq!(keys().check_for_datagrams(&login, NOW), Err(BadToken));
        let bare = serde_json::json!({"user_id": "user-alice", "username": "alice", "exp": NOW + 60});
        assert_eq!(keys().check_for_datagrams(&signed(Header::new(Algorithm::HS256), bare), NOW), Err(BadToken));
    }

    /// A revocation voids older tokens and those that don't say when they were issued.
    #[test]
    fn revocation_voids_what_is_older() {
        let mut revocations = Revocations::default();
        let alice = user().id;
        assert!(revocations.allow(&alice, None));
        revocations.revoke(alice.clone(), NOW);
        revocations.revoke(alice.clone(), NOW - 10);
        assert!(!revocations.allow(&alice, Some(NOW - 1)));
        assert!(!revocations.allow(&alice, None));
        assert!(revocations.allow(&alice, Some(NOW)));
        assert_eq!(revocations.merge(vec![(alice.clone(), NOW)]), vec![]);
        assert_eq!(revocations.merge(vec![(alice.clone(), NOW + 1)]), vec![alice]);
    }
}
