//! What the cases stand on: a fresh store, jobs made from closures, and rows to put in.

use mangahub::store::model::*;
use mangahub::store::{Job, OpenStore, Store, StoreError, StoreOptions, Writer, open};
use proptest::prelude::*;

/// A fresh store, and how to open it once more.
pub struct Fixture {
    pub store: OpenStore,
    reopen: Box<dyn Fn() -> OpenStore>,
}

impl Fixture {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let reopen = move || {
            let path = folder.path().join("hub.db");
            let url = format!("sqlite:{}", path.to_str().unwrap());
            open(&StoreOptions { url, readers: READERS, full_sync: false }).unwrap()
        };
        Self { store: reopen(), reopen: Box::new(reopen) }
    }

    pub fn open_again(&self) -> OpenStore {
        (self.reopen)()
    }

    /// The same store, closed and opened.
    pub fn reopened(self) -> Self {
        drop(self.store);
        Self { store: (self.reopen)(), reopen: self.reopen }
    }

    pub fn reader(&mut self) -> &mut dyn Store {
        &mut *self.store.readers[0]
    }

    /// Runs one job as a group of its own.
    pub fn write<T: Send>(
        &mut self,
        work: impl FnMut(&mut dyn Store) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        run(&mut *self.store.writer, vec![Task::new(work)]).remove(0)
    }

    pub fn update(&mut self, change: ProgressChange) -> Result<Stored, StoreError> {
        self.write(move |store| store.update_progress(&change))
    }

    pub fn add(&mut self, change: ProgressChange, status: ReadingStatus) -> Result<Stored, StoreError> {
        let change = ProgressChange { status: Some(status), ..change };
        self.write(move |store| store.add_to_library(&change))
    }

    pub fn upsert(&mut self, facts: Vec<MangaFacts>, now: UnixMillis) -> usize {
        self.write(move |store| store.upsert_manga(&facts, now)).unwrap()
    }

    pub fn search(&mut self, query: MangaQuery) -> Vec<String> {
        let page = self.reader().search_manga(&query).unwrap();
        assert_eq!(page.total, page.items.len() as u64);
        page.items.into_iter().map(|manga| manga.facts.slug).collect()
    }

    pub fn add_user(&mut self, name: &'static str) -> UserId {
        self.write(move |store| store.create_user(&user(name))).unwrap();
        id(name)
    }

    /// Adds series and returns the keys of all there are, in the order they came.
    pub fn add_series(&mut self, slugs: &[&str]) -> Vec<MangaId> {
        self.upsert(slugs.iter().map(|slug| facts(slug)).collect(), 1);
        self.reader().manga_after(0, 1_000).unwrap().into_iter().map(|manga| manga.id).collect()
    }

    /// Number and series of every line of a user's history, read page by page.
    pub fn history_in_pages(&mut self, user: &UserId, manga: Option<MangaId>, limit: u32) -> Vec<(i64, MangaId)> {
        let mut lines: Vec<(i64, MangaId)> = vec![];
        loop {
            let before = lines.last().map(|&(seq, _)| seq);
            let page = self.reader().history(user, manga, before, limit).unwrap();
            assert!(page.len() <= limit as usize);
            lines.extend(page.iter().map(|line| (line.seq, line.manga_id)));
            if page.is_empty() {
                return lines;
            }
        }
    }

    /// One user and one series.
    pub fn pair(&mut self) -> (UserId, MangaId) {
        (self.add_user("ann"), self.add_series(&["one"])[0])
    }

    /// Which of these users there are.
    pub fn names(&mut self, names: &[&str]) -> Vec<String> {
        names.iter().filter_map(|name| self.reader().user_by_login(name).ok()).map(|user| user.username).collect()
    }
}

/// What a job does, from a closure.
type Work<'a, T> = Box<dyn FnMut(&mut dyn Store) -> Result<T, StoreError> + Send + 'a>;

/// A job that keeps its outcome.
pub struct Task<'a, T> {
    work: Work<'a, T>,
    outcome: Option<Result<T, StoreError>>,
}

impl<'a, T> Task<'a, T> {
    pub fn new(work: impl FnMut(&mut dyn Store) -> Result<T, StoreError> + Send + 'a) -> Self {
        Self { work: Box::new(work), outcome: None }
    }
}

impl<T: Send> Job for Task<'_, T> {
    fn run(&mut self, store: &mut dyn Store) -> bool {
        self.outcome.insert((self.work)(store)).is_ok()
    }

    fn void(&mut self, error: StoreError) {
        self.outcome = Some(Err(error));
    }
}

/// Runs tasks as one group and returns what each says afterwards.
pub fn run<T: Send>(writer: &mut dyn Writer, mut tasks: Vec<Task<'_, T>>) -> Vec<Result<T, StoreError>> {
    let mut group: Vec<&mut dyn Job> = tasks.iter_mut().map(|task| task as &mut dyn Job).collect();
    writer.run(&mut group);
    tasks.into_iter().map(|task| task.outcome.expect("every job has its result")).collect()
}

/// Runs a property a bounded number of times.
pub fn check<S: Strategy>(cases: u32, values: S, test: impl FnMut(S::Value) -> Result<(), TestCaseError>) {
    let test = std::cell::RefCell::new(test);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&values, |value| (test.borrow_mut())(value));
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

pub fn id(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub fn user(name: &str) -> User {
    User {
        id: id(name),
        username: name.to_owned(),
        email: format!("{name}@example.org"),
        password_hash: "hash".to_owned(),
        role: Role::Admin,
        valid_from: 0,
        created_at: 1_700_000_000_000,
    }
}

/// A series of which only the slug is known.
pub fn facts(slug: &str) -> MangaFacts {
    serde_json::from_value(serde_json::json!({ "slug": slug, "title": slug, "status": "ongoing" })).unwrap()
}

/// A series of which everything is known.
pub fn full_facts() -> MangaFacts {
    MangaFacts {
        slug: "attack-on-titan".into(),
        title: "Attack on Titan".into(),
        title_english: Some("Attack on Titan".into()),
        title_romanised: Some("Shingeki no Kyojin".into()),
        title_native: Some("進撃の巨人".into()),
        alternative_titles: vec!["AoT".into(), "Ataque a los \"titanes\", [1]".into()],
        author: Some("Isayama Hajime".into()),
        artist: Some("An Artist".into()),
        genres: vec!["action".into(), "horror".into()],
        demographic: Some(Demographic::Shounen),
        status: Publication::Completed,
        year: Some(2009),
        chapters_total: Chapter::from_f64(139.5),
        volumes_total: Some(34),
        latest_chapter: Chapter::whole(139),
        description: "Walls.".into(),
        cover_url: Some("https://example.org/cover.jpg".into()),
    }
}

/// A change of nothing.
pub fn change(user: &UserId, manga: MangaId) -> ProgressChange {
    ProgressChange::nothing(user.clone(), manga, 1)
}

/// Readers of each store: more than one, so that a case can show that all of them see a commit.
pub const READERS: usize = 2;

/// Text that means something to SQL, to patterns or to terminals, and must mean nothing here. None
/// is a part of another once it stands between angle brackets.
pub const HOSTILE: &[&str] = &[
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    "\" OR \"\"=\"",
    "') UNION SELECT password_hash FROM users --",
    "%",
    "_",
    "%%%",
    "[a-z]*?",
    "\\",
    "\\%",
    "?1",
    ":name",
    "$1",
    "/* */",
    "שלום עולם",
    "\u{202e}evil\u{202c}",
    "👩‍👩‍👧‍👦🏴‍☠️",
    "e\u{301}",
    "ﷺ",
    "ｆｕｌｌ",
    "\u{feff}",
    "{\"json\": [1]}",
];
