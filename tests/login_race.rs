//! What relies on a password or a token and overlaps with the voiding of its user's tokens, step by step: a
//! handler leaves its work as a value, so a test can run it when it wants to.

use std::net::SocketAddr;

use jsonwebtoken::{EncodingKey, Header};
use mangahub::config::Config;
use mangahub::handlers::api::{ApiError, ErrorKind, Origin, Product, Via};
use mangahub::handlers::auth::{self, Login};
use mangahub::handlers::catalogue::Catalogue;
use mangahub::handlers::effect::{Effect, Lane, Now};
use mangahub::handlers::key::ConnKey;
use mangahub::handlers::password::{self, ChangePassword};
use mangahub::handlers::refresh;
use mangahub::handlers::session::{ServiceKind, Session};
use mangahub::handlers::sync_auth::{self, Authenticate};
use mangahub::handlers::token::Keys;
use mangahub::handlers::work::Work;
use mangahub::handlers::{Call, Caller, Ctx, State, account};
use mangahub::serve::{at_once, settings};
use mangahub::store::model::{Role, User, UserId};
use mangahub::store::{Job, OpenStore, StoreError, StoreOptions, open};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const PASSWORD: &str = "correct horse";
const SECRET: &[u8] = b"an example secret of 32 bytes....";

/// A store with one user, and what the loop keeps in memory.
struct World {
    store: OpenStore,
    state: State,
    effects: Vec<Effect<Product>>,
    session: Session,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/hub.db", folder.path().display());
        let mut store = open(&StoreOptions { url, readers: 1, full_sync: false }).unwrap();
        at_once(&mut *store.writer, |store| store.create_user(&user())).unwrap();
        let keys = Keys::new(SECRET);
        let random = ChaCha20Rng::from_seed([7; 32]);
        let state = State::new(settings(&Config::default()), keys, Catalogue::default(), random, 0);
        let session = Session::new(ServiceKind::Http);
        Self { store, state, effects: Vec::new(), session, _folder: folder }
    }

    fn with_ctx<T>(&mut self, run: impl FnOnce(&mut Session, &mut Ctx<'_>) -> T) -> T {
        self.with_caller(None, run)
    }

    fn with_caller<T>(&mut self, caller: Option<Caller>, run: impl FnOnce(&mut Session, &mut Ctx<'_>) -> T) -> T {
        let conn = ConnKey { index: 0, generation: 1 };
        let mut ctx = Ctx {
            now: Now { mono_ms: 1000, unix_ms: 1_800_000_000_000 },
            state: &mut self.state,
            peer: SocketAddr::from(([127, 0, 0, 1], 5)),
            origin: Origin { via: Via(0), conn, since_ms: 0, user: None, remote: None },
            device: None,
            caller,
            effects: &mut self.effects,
        };
        run(&mut self.session, &mut ctx)
    }

    fn login(&mut self, call: &Call<Login>) -> Work {
        let args = Login { login: "ann".into(), password: PASSWORD.into() };
        self.with_ctx(|session, ctx| (call.run)(args, session, ctx)).unwrap();
        self.job(Lane::Slow)
    }

    /// Begins a call that asks for the password once more, and compares it.
    fn ask<A>(&mut self, call: &Call<A>, args: A) -> Work {
        let caller = Caller { id: user().id, username: "ann".into(), role: Role::User };
        self.with_caller(Some(caller), |session, ctx| (call.run)(args, session, ctx)).unwrap();
        let mut job = self.job(Lane::Slow);
        assert!(job.run(&mut *self.store.readers[0]));
        job
    }

    fn change_password(&mut self, new: &str) -> Work {
        self.ask(&password::CHANGE_PASSWORD, ChangePassword { current: PASSWORD.into(), new: new.into() })
    }

    /// What the writer makes of a call whose password was right.
    fn write(&mut self, job: Work) -> Result<(), ApiError> {
        self.finish(job)?;
        let mut job = self.job(Lane::Write);
        self.store.writer.run(&mut [&mut job]);
        self.finish(job)
    }

    /// The job that was left, which must be for this lane.
    fn job(&mut self, wanted: Lane) -> Work {
        match self.effects.pop() {
            Some(Effect::Submit(lane, job)) if lane == wanted => job,
            _ => panic!("no job for {wanted:?}"),
        }
    }

    fn finish(&mut self, job: Work) -> Result<(), ApiError> {
        self.with_ctx(|session, ctx| job.finish(session, ctx))
    }

    /// Logs out everywhere: in the store, and where the loop remembers it.
    fn void(&mut self) {
        at_once(&mut *self.store.writer, |store| store.set_valid_from(&user().id, 1_800_000_001)).unwrap();
        self.with_ctx(|_, ctx| ctx.revoke(&user().id, 1_800_000_001));
    }
}

fn user() -> User {
    User {
        id: UserId::parse("user-ann").unwrap(),
        username: "ann".into(),
        email: "ann@example.org".into(),
        password_hash: password::hash(PASSWORD, 4).unwrap(),
        role: Role::User,
        valid_from: 0,
        created_at: 0,
    }
}

fn refused(outcome: Result<(), ApiError>) {
    assert_eq!(outcome.map_err(|error| error.kind), Err(ErrorKind::Unauthorized));
}

fn overtaken(outcome: Result<(), ApiError>) {
    assert_eq!(outcome.map_err(|error| error.kind), Err(ErrorKind::Conflict));
}

/// The tokens are voided while the password is compared: nothing is given, for it may be the old one.
#[test]
fn voided_while_the_password_is_compared() {
    for call in [auth::LOGIN, refresh::LOGIN] {
        let mut world = World::new();
        let mut job = world.login(&call);
        assert!(job.run(&mut *world.store.readers[0]));
        world.void();
        let outcome = world.finish(job);
        refused(outcome);
        assert!(world.effects.is_empty(), "{}: no token, no work", call.name);
        let mut job = world.login(&call);
        assert!(job.run(&mut *world.store.readers[0]));
        world.finish(job).unwrap();
        assert_eq!(world.effects.len(), 1, "{}: the next one succeeds", call.name);
    }
}

/// Of two changes that begin with the same password the first counts, whether the second is compared or
/// waits for the writer when it is done. Neither is the account deleted with it.
#[test]
fn a_password_counts_for_one_change() {
    let mut world = World::new();
    let [first, late] = ["the first one", "the late one"].map(|new| world.change_password(new));
    let leaving = world.ask(&account::DELETE, PASSWORD.into());
    let (change, leave) = (world.change_password("the waiting one"), world.ask(&account::DELETE, PASSWORD.into()));
    let waiting = [change, leave].map(|job| {
        world.finish(job).unwrap();
        world.job(Lane::Write)
    });
    world.write(first).unwrap();
    world.effects.clear();
    for job in [late, leaving] {
        overtaken(world.finish(job));
    }
    for mut job in waiting {
        world.store.writer.run(&mut [&mut job]);
        overtaken(world.finish(job));
    }
    assert!(world.effects.is_empty(), "nobody is told that it worked");
    let hash = world.store.readers[0].user(&user().id).unwrap().password_hash;
    assert!(bcrypt::verify("the first one", &hash).unwrap());
}

/// They are voided after that, while the refresh token waits for the writer: it is not begun.
#[test]
fn voided_while_the_refresh_token_waits() {
    let mut world = World::new();
    let mut job = world.login(&refresh::LOGIN);
    assert!(job.run(&mut *world.store.readers[0]));
    world.finish(job).unwrap();
    let mut job = world.job(Lane::Write);
    world.void();
    world.store.writer.run(&mut [&mut job]);
    let outcome = world.finish(job);
    refused(outcome);
    assert!(world.effects.is_empty());
}

/// A token without its time of issue counts as long as its user never logged out everywhere. When they do
/// while it is looked up, it does not: the row that was read is from before.
#[test]
fn voided_while_a_token_is_looked_up() {
    let claims = serde_json::json!({"user_id": user().id, "username": "ann", "exp": 1_900_000_000});
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap();
    for voided in [false, true] {
        let mut world = World::new();
        let args = Authenticate { token: token.clone(), device: None };
        world.with_ctx(|session, ctx| (sync_auth::AUTHENTICATE.run)(args, session, ctx)).unwrap();
        let mut job = world.job(Lane::Read);
        assert!(job.run(&mut *world.store.readers[0]));
        if voided {
            world.void();
        }
        let outcome = world.finish(job);
        match voided {
            true => refused(outcome),
            false => outcome.unwrap(),
        }
        assert_eq!((world.session.member.is_some(), world.effects.is_empty()), (!voided, voided));
    }
}

/// Attempts that find the slow lane full, or a store that does not answer, are no failures: whoever knows
/// the password gets in as soon as there is room, after any number of them. Wrong ones still count.
#[test]
fn what_was_not_compared_is_no_failure() {
    let mut world = World::new();
    for error in [StoreError::Busy, StoreError::Unavailable].repeat(20) {
        let mut job = world.login(&auth::LOGIN);
        job.void(error);
        let outcome = world.finish(job);
        assert_eq!(outcome.map_err(|error| error.kind), Err(ErrorKind::Unavailable));
    }
    let mut job = world.login(&auth::LOGIN);
    assert!(job.run(&mut *world.store.readers[0]));
    world.finish(job).unwrap();
    let guess = || Login { login: "ann".into(), password: "not it".into() };
    let outcomes: Vec<_> =
        (0..7).map(|_| world.with_ctx(|session, ctx| (auth::LOGIN.run)(guess(), session, ctx))).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 6, "guesses made all at once");
}
