//! How notifications are told, step by step: a handler leaves its work as a value, so a test can run it, refuse
//! it or keep it back when it wants to.

use std::net::SocketAddr;

use mangahub::config::Config;
use mangahub::handlers::api::{Event, Origin, Product, Topic, Via};
use mangahub::handlers::catalogue::Catalogue;
use mangahub::handlers::effect::{Effect, Lane, Now};
use mangahub::handlers::key::ConnKey;
use mangahub::handlers::notices::tell::{self, Trigger, What};
use mangahub::handlers::session::{MemberId, ServiceKind, Session};
use mangahub::handlers::token::Keys;
use mangahub::handlers::work::Work;
use mangahub::handlers::{Ctx, State, notices};
use mangahub::serve::{at_once, settings};
use mangahub::store::model::{Role, User, UserId};
use mangahub::store::{Job, LISTENERS_MAX, OpenStore, StoreError, StoreOptions, open};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A store, what the loop keeps in memory, and users who listen.
struct World {
    store: OpenStore,
    state: State,
    effects: Vec<Effect<Product>>,
    now_ms: u64,
    told: Vec<(MemberId, String)>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/hub.db", folder.path().display());
        let store = open(&StoreOptions { url, readers: 1, full_sync: false }).unwrap();
        let random = ChaCha20Rng::from_seed([7; 32]);
        let keys = Keys::new(b"an example secret of 32 bytes....");
        let state = State::new(settings(&Config::default()), keys, Catalogue::default(), random, 0);
        Self { store, state, effects: Vec::new(), now_ms: 1000, told: Vec::new(), _folder: folder }
    }

    fn with_ctx<T>(&mut self, conn: ConnKey, run: impl FnOnce(&mut Session, &mut Ctx<'_>) -> T) -> T {
        let mut ctx = Ctx {
            now: Now { mono_ms: self.now_ms, unix_ms: 1_800_000_000_000 },
            state: &mut self.state,
            peer: SocketAddr::from(([127, 0, 0, 1], 5)),
            origin: Origin { via: Via(0), conn, since_ms: 0, user: None, remote: None },
            device: None,
            caller: None,
            effects: &mut self.effects,
        };
        run(&mut Session::new(ServiceKind::Internal), &mut ctx)
    }

    /// A user who listens.
    fn listener(&mut self, number: usize) -> MemberId {
        let id = UserId::parse(&format!("user-{number}")).unwrap();
        let user = User {
            id: id.clone(),
            username: format!("reader{number}"),
            email: format!("reader{number}@example.org"),
            password_hash: String::new(),
            role: Role::User,
            valid_from: 0,
            created_at: 0,
        };
        at_once(&mut *self.store.writer, |store| store.create_user(&user)).unwrap();
        let member = self.state.members.enter(&id, "reader", Role::User, 0).unwrap();
        self.state.notices.listeners.enter(member);
        member
    }

    /// Somebody triggers that a series came, on a connection of theirs.
    fn trigger(&mut self, title: &str) {
        let args = Trigger { manga: 9, title: Some(title.into()), what: What::Added };
        let conn = ConnKey { index: 3, generation: 1 };
        self.with_ctx(conn, |session, ctx| (tell::TRIGGER.run)(args, session, ctx)).unwrap();
        let Some(Effect::Submit(Lane::Write, mut job)) = self.effects.pop() else { panic!("nothing to store") };
        self.store.writer.run(&mut [&mut job]);
        self.with_ctx(conn, |session, ctx| job.finish(session, ctx)).unwrap();
    }

    fn tick(&mut self) {
        self.now_ms += 1000;
        self.with_ctx(ConnKey::NOBODY, |_, ctx| notices::tick(ctx));
    }

    /// The look for listeners that was left, if there is one; what was told before it is noted.
    fn look(&mut self) -> Option<Work> {
        let mut looks = Vec::new();
        for effect in self.effects.drain(..) {
            match effect {
                Effect::SubmitApart(Lane::Read, job) => looks.push(job),
                Effect::Publish(Topic::Notices(member), Event::Notification(told, _)) => {
                    self.told.push((member, told.title.clone()));
                }
                Effect::Submit(Lane::Read, _) => panic!("a connection waits for a look"),
                _ => {}
            }
        }
        assert!(looks.len() <= 1, "one look at a time");
        looks.pop()
    }

    fn finish(&mut self, job: Work) {
        self.with_ctx(ConnKey::NOBODY, |session, ctx| job.finish(session, ctx)).unwrap();
    }

    /// Takes the look that was left.
    fn take_look(&mut self) {
        let mut job = self.look().expect("a look");
        assert!(job.run(&mut *self.store.readers[0]));
        self.finish(job);
    }
}

/// While the readers' lane is full nobody is told, and nothing is dropped: each look is taken again at the next
/// tick, and all is told in its order once there is room. Each try is counted.
#[test]
fn a_full_lane_only_delays() {
    let mut world = World::new();
    let ann = world.listener(1);
    world.trigger("first");
    let mut refused = world.look().expect("a look");
    world.trigger("second");
    assert!(world.look().is_none(), "one after the other");
    for tries in 1..=3 {
        refused.void(StoreError::Busy);
        world.finish(refused);
        assert!(world.look().is_none(), "not before the next tick");
        assert_eq!(world.state.notices.line.retried, tries);
        world.tick();
        refused = world.look().expect("another try");
    }
    assert_eq!((world.state.notices.line.len(), world.told.len()), (2, 0));
    assert!(refused.run(&mut *world.store.readers[0]));
    world.finish(refused);
    world.take_look();
    assert!(world.look().is_none() && world.state.notices.line.is_empty());
    assert_eq!(world.told, [(ann, "first".to_owned()), (ann, "second".to_owned())]);
}

/// More listeners than one look takes are told in parts, each once, and a part that found no room is taken again
/// without the parts before it.
#[test]
fn parts_are_told_once() {
    let mut world = World::new();
    let all: Vec<MemberId> = (0..LISTENERS_MAX + 7).map(|number| world.listener(number)).collect();
    world.trigger("to many");
    world.take_look();
    let mut refused = world.look().expect("the second part");
    assert_eq!(world.told.len(), LISTENERS_MAX);
    refused.void(StoreError::Busy);
    world.finish(refused);
    world.tick();
    world.take_look();
    assert!(world.look().is_none());
    let mut members: Vec<MemberId> = world.told.iter().map(|(member, _)| *member).collect();
    members.sort_unstable();
    assert_eq!(members, all);
}

/// A look that never comes back is taken again after a minute; should it come back then, nobody is told twice.
#[test]
fn a_lost_look_is_taken_again() {
    let mut world = World::new();
    world.listener(1);
    world.trigger("once");
    let mut lost = world.look().expect("a look");
    for _ in 0..59 {
        world.tick();
        assert!(world.look().is_none());
    }
    world.tick();
    let mut second = world.look().expect("another look");
    for job in [&mut lost, &mut second] {
        assert!(job.run(&mut *world.store.readers[0]));
    }
    world.finish(lost);
    world.finish(second);
    assert!(world.look().is_none());
    assert_eq!(world.told.len(), 1);
}
