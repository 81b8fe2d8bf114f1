//! `mangahub admin`: accounts made and deleted by the operator, who needs no server for it.
//!
//! Here are the arguments and the reading of a password; passwords come from standard input only,
//! since arguments show up in process lists and histories.

use std::io::{self, BufRead, Read, Write};

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::{Exit, Failure};
use crate::config::Config;
use crate::handlers::api::ApiError;
use crate::handlers::{account, password};
use crate::logs::Redacted;
use crate::serve;
use crate::store::model::{self, User, UserId, Voiding};
use crate::store::{self, ERASED_ROWS_MAX, Store, StoreError, StoreOptions};

/// The commands about accounts.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make an account; the first admin is made this way
    #[command(after_help = EXAMPLE)]
    CreateUser(CreateUserArguments),
    /// Delete an account and everything of its user's, for good
    #[command(after_help = DELETE_EXAMPLE)]
    DeleteUser(DeleteUserArguments),
}

/// What `create-user` takes.
#[derive(Debug, Args)]
pub struct CreateUserArguments {
    /// The name to log in with
    pub name: String,
    /// The e-mail address
    #[arg(long)]
    pub email: String,
    /// What the account may do
    #[arg(long, value_enum)]
    pub role: Role,
    /// Read the password from standard input, one line
    #[arg(long, required = true)]
    pub password_stdin: bool,
}

/// What `delete-user` takes.
#[derive(Debug, Args)]
pub struct DeleteUserArguments {
    /// The name or the e-mail address
    pub login: String,
    /// Yes, all of it: nothing brings it back
    #[arg(long, required = true)]
    pub yes: bool,
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Everything
    Admin,
    /// What readers do
    User,
}

/// An account to make.
#[derive(Debug, PartialEq, Eq)]
pub struct CreateUser {
    /// The name, unchecked.
    pub name: String,
    /// The e-mail address, unchecked.
    pub email: String,
    /// What it may do.
    pub role: Role,
    /// The password, checked by [`read_password`].
    pub password: Redacted<String>,
}

impl CreateUserArguments {
    /// Adds the password, which is the first line of `input`.
    pub fn complete(self, input: &mut dyn BufRead) -> Result<CreateUser, PasswordError> {
        let password = read_password(input)?;
        Ok(CreateUser { name: self.name, email: self.email, role: self.role, password })
    }
}

/// Why a password is refused.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Choose a longer one.
    #[error("the password is too short: at least {PASSWORD_CHARS_MIN} characters, on the first line of standard input")]
    TooShort,
    /// Choose a shorter one.
    #[error("the password is too long: at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// Choose one without NUL.
    #[error("the password holds a NUL character, at which the hash would cut it off: leave it out")]
    Nul,
    /// Send it in UTF-8.
    #[error("the password is not UTF-8 text")]
    NotText,
    /// Standard input failed.
    #[error("can't read the password from standard input: {0}")]
    Unreadable(#[from] io::Error),
}

impl From<PasswordError> for Failure {
    fn from(error: PasswordError) -> Self {
        let exit = if matches!(error, PasswordError::Unreadable(_)) { Exit::Failure } else { Exit::Usage };
        Self::new(exit, error)
    }
}

/// The first line of `input` without its newline, if it can be a password.
pub fn read_password(input: &mut dyn BufRead) -> Result<Redacted<String>, PasswordError> {
    let mut line = Vec::new();
    input.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::TooLong);
    }
    let text = std::str::from_utf8(line).map_err(|_| PasswordError::NotText)?;
    if text.contains('\0') {
        return Err(PasswordError::Nul);
    }
    if text.chars().count() < PASSWORD_CHARS_MIN {
        return Err(PasswordError::TooShort);
    }
    Ok(Redacted::new(text.to_owned()))
}

const EXAMPLE: &str = "\
Example:
  mangahub admin create-user ann --email ann@example.org --role admin --password-stdin < password.txt";

const DELETE_EXAMPLE: &str = "\
Example:
  mangahub admin delete-user ann --yes";

/// Shorter ones are guessed; refused.
const PASSWORD_CHARS_MIN: usize = 8;

/// bcrypt reads no further and would silently ignore the rest; refused.
const PASSWORD_BYTES_MAX: usize = 72;

/// The longest password, its `\r\n`, and one byte more to see that it is too long. Nothing beyond is read.
const LINE_BYTES_MAX: u64 = PASSWORD_BYTES_MAX as u64 + 3;

/// Makes an account in the store, with a server running on it or not.
pub fn create_user(config: &Config, user: CreateUser, out: &mut dyn Write) -> Result<(), Failure> {
    let wrong = |error: ApiError| Failure::new(Exit::Usage, error);
    let username = account::check_username(user.name, USERNAME_CHARACTERS_MAX).map_err(wrong)?;
    let email = account::check_email(user.email).map_err(wrong)?;
    let failed = |error: StoreError| match error {
        StoreError::Conflict => Failure::new(Exit::Conflict, "that name or e-mail address is taken; choose another"),
        other => Failure::new(Exit::Failure, other),
    };
    let account = User {
        id: UserId::from(Uuid::new_v4()),
        username,
        email,
        password_hash: password::hash(user.password.expose(), config.auth.bcrypt_cost).map_err(failed)?,
        role: match user.role {
            Role::Admin => model::Role::Admin,
            Role::User => model::Role::User,
        },
        valid_from: 0,
        created_at: jiff::Timestamp::now().as_millisecond(),
    };
    let options = StoreOptions { readers: 1, ..serve::store_options(config) };
    let mut open = store::open(&options).map_err(|error| Failure::new(Exit::Failure, error))?;
    serve::at_once(&mut *open.writer, |store| store.create_user(&account)).map_err(failed)?;
    writeln!(out, "✓ {} {} ({}) can log in now", account.role.as_str(), account.username, account.id)?;
    Ok(())
}

/// Deletes an account, with a server running on the store or not. A server ends the user's sessions within
/// a second.
pub fn delete_user(config: &Config, login: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error: StoreError| match error {
        StoreError::NotFound => Failure::new(Exit::NotFound, "there is no such account"),
        other => Failure::new(Exit::Failure, other),
    };
    let options = StoreOptions { readers: 1, ..serve::store_options(config) };
    let mut open = store::open(&options).map_err(|error| Failure::new(Exit::Failure, error))?;
    let now_s = jiff::Timestamp::now().as_second();
    let oldest_s = now_s - serve::token_s_max(config);
    let delete = |store: &mut dyn Store| {
        let user = store.user_by_login(login)?;
        let voiding = Voiding { was: user.valid_from, valid_from: (now_s + 1).max(user.valid_from + 1) };
        store.delete_user(&user.id, voiding, oldest_s)?;
        Ok(user)
    };
    let user = serve::at_once(&mut *open.writer, delete).map_err(failed)?;
    while serve::at_once(&mut *open.writer, |store| store.erase_deleted(ERASED_ROWS_MAX)).map_err(failed)? {}
    writeln!(out, "✓ {} ({}) is gone, with everything that was theirs", user.username, user.id)?;
    Ok(())
}

/// The longest name, as in the second family's registration.
const USERNAME_CHARACTERS_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Arguments, *};

    /// One line is read, its line ending dropped, the rest left alone; spaces belong to the password.
    #[test]
    fn one_line_is_the_password() {
        let longest = "x".repeat(72);
        let cases: [(&[u8], &str); 6] = [
            (b"correct horse\n", "correct horse"),
            (b"correct horse\r\n", "correct horse"),
            (b"correct horse", "correct horse"),
            (b" spaces too \nsecond line\n", " spaces too "),
            ("pässwörd\n".as_bytes(), "pässwörd"),
            (longest.as_bytes(), &longest),
        ];
        for (mut input, password) in cases {
            assert_eq!(read_password(&mut input).unwrap().expose(), password);
        }
    }

    /// What bcrypt would cut, what is guessed and what is no text is refused with the reason.
    #[test]
    fn bad_passwords_are_refused() {
        let long = format!("{}\r\n", "x".repeat(73));
        let endless = vec![b'x'; 10_000];
        let cases: [(&[u8], &str); 7] = [
            (b"", "too short"),
            (b"\n", "too short"),
            (b"1234567\n", "too short"),
            (long.as_bytes(), "too long"),
            (&endless, "too long"),
            (b"12345678\x009\n", "NUL"),
            (b"12345678\xff\n", "UTF-8"),
        ];
        for (mut input, reason) in cases {
            let failure = Failure::from(read_password(&mut input).unwrap_err());
            assert!(failure.message.contains(reason), "{}", failure.message);
            assert_eq!(failure.exit, Exit::Usage);
        }
    }

    /// The arguments and one line of input make the account; without `--password-stdin` they are refused.
    #[test]
    fn arguments_and_password_make_the_account() {
        let line = "mangahub admin create-user ann --email ann@example.org --role admin";
        assert!(Arguments::try_parse_from(line.split(' ')).is_err());
        let line = format!("{line} --password-stdin");
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        let Some(super::super::Command::Admin(AdminCommand::CreateUser(arguments))) = arguments.command else {
            panic!("another command");
        };
        let user = arguments.complete(&mut b"correct horse\n".as_slice()).unwrap();
        assert_eq!((user.name.as_str(), user.email.as_str(), user.role), ("ann", "ann@example.org", Role::Admin));
        assert!(!format!("{user:?}").contains("correct"));
    }
}
