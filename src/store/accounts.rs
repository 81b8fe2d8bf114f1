//! Verbs on people and their credentials.

use super::StoreError;
use super::model::{User, UserId, Voiding};

/// What the store does with accounts.
pub trait Accounts {
    /// Adds a user. [`StoreError::Conflict`] when the name or the e-mail address is taken.
    fn create_user(&mut self, user: &User) -> Result<(), StoreError>;
    /// The user with that id.
    fn user(&mut self, id: &UserId) -> Result<User, StoreError>;
    /// The user with that name, or, when it holds an `@`, that e-mail address. ASCII case is ignored.
    fn user_by_login(&mut self, login: &str) -> Result<User, StoreError>;
    /// Sets a new password hash, and voids every token issued before and every refresh token.
    /// [`StoreError::Conflict`] when they were voided since the old password was compared.
    fn set_password(&mut self, id: &UserId, hash: &str, voiding: Voiding) -> Result<(), StoreError>;
    /// Voids every token of the user issued before `valid_from` (Unix seconds), and every refresh token.
    fn set_valid_from(&mut self, id: &UserId, valid_from: i64) -> Result<(), StoreError>;
    /// Every user whose tokens were voided at or after `since` (Unix seconds), deleted ones too, and from
    /// when theirs count.
    fn revocations(&mut self, since: i64) -> Result<Vec<(UserId, i64)>, StoreError>;
}
