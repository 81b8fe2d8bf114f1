//! Webhooks: who is told what, in which order deliveries go, and what becomes of them.

use mangahub::store::{DELIVERIES_MAX, EVENT_BYTES_MAX, SPREAD_HOOKS};

use super::*;

contract!(
    a_webhook_is_made_changed_and_deleted,
    webhooks_belong_to_their_owner,
    events_reach_whom_they_concern,
    wishes_are_followed,
    an_event_nobody_could_hear_of_is_not_kept,
    events_are_spread_in_slices,
    undone_work_tells_nobody,
    deliveries_go_one_by_one_in_order,
    calls_are_shared_between_users,
    the_slow_share_what_is_theirs,
    failures_disable_a_webhook_and_success_forgives,
    a_receiver_that_wants_no_more_is_left_alone,
    ended_deliveries_can_be_replayed,
    deliveries_of_a_webhook_are_bounded,
    old_deliveries_are_forgotten,
    what_waits_survives_a_restart,
    readers_make_no_webhooks,
);

const SECRET: &str = "a secret of a test";

fn new(events: &[HookEvent], scope: HookScope) -> NewWebhook {
    NewWebhook { url: "https://example.org/".into(), events: events.to_vec(), scope, secret: SECRET.into() }
}

fn make(fixture: &mut Fixture, owner: &UserId, events: &[HookEvent], scope: HookScope) -> WebhookId {
    let (owner, hook) = (owner.clone(), new(events, scope));
    fixture.write(move |store| store.create_webhook(&owner, &hook, 100, 0)).unwrap().id
}

/// Puts an event in line and spreads it to everybody.
fn tell(fixture: &mut Fixture, event: HookEvent, body: &str, audience: HookAudience, now: UnixMillis) {
    let body = body.to_owned();
    fixture.write(move |store| store.enqueue_webhook(event, &body, &audience, now)).unwrap();
    spread(fixture, now);
}

fn spread(fixture: &mut Fixture, now: UnixMillis) -> usize {
    let mut jobs = 0;
    while fixture.write(move |store| store.spread_webhooks(now)).unwrap() {
        jobs += 1;
    }
    jobs
}

fn due_with(fixture: &mut Fixture, wanted: DueWanted) -> Due {
    fixture.reader().due_webhooks(&wanted).unwrap()
}

fn due(fixture: &mut Fixture, now: UnixMillis) -> Vec<DueDelivery> {
    due_with(fixture, DueWanted { now, most: 99, most_per_user: 99, ..DueWanted::default() }).deliveries
}

/// Which webhooks have something due, and its body.
fn bodies(fixture: &mut Fixture, now: UnixMillis) -> Vec<(WebhookId, String)> {
    due(fixture, now).into_iter().map(|delivery| (delivery.webhook_id, delivery.body)).collect()
}

fn settle(fixture: &mut Fixture, delivery: &DueDelivery, verdict: Verdict, at: UnixMillis) {
    let (status, error) = match verdict {
        Verdict::Delivered => (Some(200), None),
        _ => (Some(500), Some("wrong".to_owned())),
    };
    let attempt = Attempt { id: delivery.id, webhook_id: delivery.webhook_id, status, error, verdict, at };
    fixture.write(move |store| store.settle_delivery(&attempt)).unwrap();
}

fn list(fixture: &mut Fixture, owner: &UserId, hook: WebhookId, state: Option<DeliveryState>) -> Vec<Delivery> {
    fixture.reader().deliveries(owner, hook, DeliveriesWanted { state, before: None, limit: 1_000 }).unwrap()
}

const ALL: &[HookEvent] =
    &[HookEvent::NewManga, HookEvent::NewChapter, HookEvent::MangaUpdate, HookEvent::Announcement, HookEvent::Test];

const EVERY: &[HookEvent] = &[HookEvent::NewManga, HookEvent::NewChapter];

/// Shows that a change leaves what it does not name, that webhooks are counted, and that a deleted one
/// takes its deliveries along.
fn a_webhook_is_made_changed_and_deleted(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let id = make(&mut fixture, &ann, EVERY, HookScope::Library);
    let made = fixture.reader().webhook(&ann, id).unwrap();
    assert_eq!((made.events.as_slice(), made.scope, &made.disabled), (EVERY, HookScope::Library, &None));
    let who = ann.clone();
    let change = WebhookChange { url: Some("https://example.org/b".into()), ..WebhookChange::default() };
    let changed = fixture.write(|store| store.change_webhook(&who, id, &change, 5)).unwrap();
    assert_eq!(changed, Webhook { url: "https://example.org/b".into(), updated_at: 5, ..made });
    let hook = new(EVERY, HookScope::Library);
    assert_eq!(fixture.write(|store| store.create_webhook(&who, &hook, 1, 0)), Err(StoreError::TooMuch));
    fixture.write(|store| store.set_webhook_secret(&who, id, "another", 6)).unwrap();
    fixture.write(|store| store.test_webhook(&who, id, "{}", 7)).unwrap();
    assert_eq!(due(&mut fixture, 7)[0].secret, "another");
    let off = WebhookChange { active: Some(false), ..WebhookChange::default() };
    assert!(fixture.write(|store| store.change_webhook(&who, id, &off, 8)).unwrap().disabled.is_some());
    assert_eq!(due(&mut fixture, 9), []);
    assert_eq!(fixture.write(|store| store.test_webhook(&who, id, "{}", 7)), Err(StoreError::Conflict));
    let on = WebhookChange { active: Some(true), ..WebhookChange::default() };
    assert_eq!(fixture.write(|store| store.change_webhook(&who, id, &on, 8)).unwrap().disabled, None);
    assert_eq!(due(&mut fixture, 9).len(), 1, "what waited goes on");
    fixture.write(|store| store.delete_webhook(&who, id)).unwrap();
    assert_eq!((due(&mut fixture, 9), fixture.reader().webhooks(&ann)), (vec![], Ok(vec![])));
}

/// Shows that nobody sees or changes another user's webhook by any verb.
fn webhooks_belong_to_their_owner(mut fixture: Fixture) {
    let [ann, bob] = ["ann", "bob"].map(|name| fixture.add_user(name));
    let id = make(&mut fixture, &ann, EVERY, HookScope::Library);
    let who = ann.clone();
    let delivery = fixture.write(|store| store.test_webhook(&who, id, "{}", 1)).unwrap().id;
    let missing = |result: Result<(), StoreError>| assert_eq!(result, Err(StoreError::NotFound));
    for (stranger, hook) in [(bob.clone(), id), (ann.clone(), 404), (id_of_nobody(), id)] {
        missing(fixture.reader().webhook(&stranger, hook).map(drop));
        missing(fixture.reader().deliveries(&stranger, hook, DeliveriesWanted::default()).map(drop));
        let change = WebhookChange::default();
        missing(fixture.write(|store| store.change_webhook(&stranger, hook, &change, 1).map(drop)));
        missing(fixture.write(|store| store.set_webhook_secret(&stranger, hook, "x", 1).map(drop)));
        missing(fixture.write(|store| store.delete_webhook(&stranger, hook)));
        missing(fixture.write(|store| store.test_webhook(&stranger, hook, "{}", 1).map(drop)));
        missing(fixture.write(|store| store.replay_delivery(&stranger, hook, delivery, 1).map(drop)));
    }
    assert_eq!(fixture.reader().webhooks(&bob), Ok(vec![]));
    missing(fixture.reader().webhooks(&id_of_nobody()).map(drop));
    let hook = new(EVERY, HookScope::Library);
    missing(fixture.write(|store| store.create_webhook(&id_of_nobody(), &hook, 9, 1).map(drop)));
}

fn id_of_nobody() -> UserId {
    id("nobody")
}

/// Shows for each audience whose webhooks are told, and that events, scope and role count.
fn events_reach_whom_they_concern(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let bob = fixture.add_user("bob");
    let (root, former) = (user("root"), User { role: Role::User, ..user("former") });
    assert_eq!(root.role, Role::Admin);
    fixture.write(|store| store.create_user(&root).and(store.create_user(&former))).unwrap();
    fixture.add(change(&ann, series), ReadingStatus::Reading).unwrap();
    // Bob reads it, and has no place for it in his library.
    fixture.update(change(&bob, series)).unwrap();
    let by_ann = make(&mut fixture, &ann, EVERY, HookScope::Library);
    let by_bob = make(&mut fixture, &bob, EVERY, HookScope::Library);
    let no_longer = make(&mut fixture, &former.id, EVERY, HookScope::All);
    let by_root = make(&mut fixture, &root.id, &[HookEvent::NewChapter], HookScope::All);
    let off = make(&mut fixture, &ann, EVERY, HookScope::Library);
    let (who, change) = (ann.clone(), WebhookChange { active: Some(false), ..WebhookChange::default() });
    fixture.write(|store| store.change_webhook(&who, off, &change, 0)).unwrap();
    let mut told = |event, audience| -> Vec<WebhookId> {
        tell(&mut fixture, event, "{}", audience, 1);
        let found = due(&mut fixture, 1);
        found.iter().for_each(|delivery| settle(&mut fixture, delivery, Verdict::Delivered, 1));
        let mut hooks: Vec<WebhookId> = found.into_iter().map(|delivery| delivery.webhook_id).collect();
        hooks.sort_unstable();
        hooks
    };
    assert_eq!(told(HookEvent::NewManga, HookAudience::Everyone), [by_ann, by_bob, no_longer]);
    assert_eq!(told(HookEvent::NewChapter, HookAudience::Readers(series)), [by_ann, by_root]);
    assert_eq!(told(HookEvent::NewChapter, HookAudience::User(bob)), [by_bob]);
    assert_eq!(told(HookEvent::MangaUpdate, HookAudience::Everyone), [0; 0]);
}

/// Shows that nobody's webhooks tell of a kind or a series that they muted, or of anything when they want to
/// hear nothing in this way; and that a test always comes.
fn wishes_are_followed(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let bob = fixture.add_user("bob");
    for user in [&ann, &bob] {
        fixture.add(change(user, series), ReadingStatus::Reading).unwrap();
        make(&mut fixture, user, ALL, HookScope::Library);
    }
    let told = |fixture: &mut Fixture, event, body: &str, audience| -> Vec<UserId> {
        tell(fixture, event, body, audience, 1);
        let found = due(fixture, 1);
        found.iter().for_each(|delivery| settle(fixture, delivery, Verdict::Delivered, 1));
        found.into_iter().map(|delivery| delivery.owner).collect()
    };
    let both = [ann.clone(), bob.clone()];
    let about = format!("{{\"data\":{{\"manga_id\":{series}}}}}");
    assert_eq!(told(&mut fixture, HookEvent::Announcement, &about, HookAudience::Everyone), both);
    fixture.write(|store| store.mute_series(&ann, series)).unwrap();
    assert_eq!(told(&mut fixture, HookEvent::NewChapter, "{}", HookAudience::Readers(series)), both[1..]);
    assert_eq!(told(&mut fixture, HookEvent::Announcement, &about, HookAudience::Everyone), both[1..]);
    assert_eq!(told(&mut fixture, HookEvent::Announcement, "{}", HookAudience::Everyone), both);
    fixture.write(|store| store.unmute_series(&ann, series)).unwrap();
    for (kind, event) in [
        (NoticeKind::NewManga, HookEvent::NewManga),
        (NoticeKind::NewChapter, HookEvent::NewChapter),
        (NoticeKind::MangaUpdate, HookEvent::MangaUpdate),
    ] {
        for (wanted, heard) in [(false, &both[1..]), (true, &both[..])] {
            let change = SettingsChange { kinds: vec![(kind, wanted)], ..SettingsChange::default() };
            fixture.write(|store| store.change_notice_settings(&ann, &change)).unwrap();
            assert_eq!(told(&mut fixture, event, "{}", HookAudience::Everyone), heard, "{event:?} {wanted}");
        }
    }
    let silent = SettingsChange { protocols: vec![(Protocol::Webhook, false)], ..SettingsChange::default() };
    fixture.write(|store| store.change_notice_settings(&ann, &silent)).unwrap();
    assert_eq!(told(&mut fixture, HookEvent::Announcement, "{}", HookAudience::Everyone), both[1..]);
    assert_eq!(told(&mut fixture, HookEvent::Test, "{}", HookAudience::User(ann.clone())), both[..1]);
}

/// Shows that without webhooks nothing is kept, and that an event has a bound.
fn an_event_nobody_could_hear_of_is_not_kept(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let enqueue = |fixture: &mut Fixture, body: String| {
        fixture.write(move |store| store.enqueue_webhook(HookEvent::NewManga, &body, &HookAudience::Everyone, 1))
    };
    assert_eq!(enqueue(&mut fixture, "{}".into()), Ok(false));
    make(&mut fixture, &ann, EVERY, HookScope::Library);
    assert_eq!(spread(&mut fixture, 1), 0);
    for (user, event) in [("ann", HookEvent::Test), ("bob", HookEvent::NewManga)] {
        let audience = HookAudience::User(id(user));
        let unheard = fixture.write(move |store| store.enqueue_webhook(event, "{}", &audience, 1));
        assert_eq!(unheard, Ok(false), "{user} has no webhook for {event:?}");
    }
    assert_eq!(enqueue(&mut fixture, "x".repeat(EVENT_BYTES_MAX)), Ok(true));
    assert_eq!(enqueue(&mut fixture, "x".repeat(EVENT_BYTES_MAX + 1)), Err(StoreError::TooMuch));
}

/// Shows that an event goes round in jobs of a bounded size, and that the next one waits for it.
fn events_are_spread_in_slices(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let count = SPREAD_HOOKS as usize + 1;
    let who = ann.clone();
    let hook = new(EVERY, HookScope::Library);
    let made = fixture.write(|store| {
        (0..count).map(|_| Ok(store.create_webhook(&who, &hook, 1_000, 0)?.id)).collect::<Result<Vec<_>, _>>()
    });
    for body in ["1", "2"] {
        let told =
            move |store: &mut dyn Store| store.enqueue_webhook(HookEvent::NewManga, body, &HookAudience::Everyone, 1);
        assert_eq!(fixture.write(told), Ok(true));
    }
    let everyone = || DueWanted { now: 1, most: 1_000, most_per_user: 1_000, ..DueWanted::default() };
    assert!(due_with(&mut fixture, everyone()).unspread);
    assert_eq!(fixture.write(|store| store.spread_webhooks(1)), Ok(true));
    assert_eq!(due_with(&mut fixture, everyone()).deliveries.len(), SPREAD_HOOKS as usize);
    spread(&mut fixture, 1);
    let found = due_with(&mut fixture, everyone());
    assert!(!found.unspread && found.deliveries.iter().all(|delivery| delivery.body == "1"));
    let hooks: Vec<WebhookId> = found.deliveries.iter().map(|delivery| delivery.webhook_id).collect();
    assert_eq!(hooks, made.unwrap());
    assert_eq!(list(&mut fixture, &ann, hooks[0], None).len(), 2);
}

/// Shows that an event goes with the job that it tells about.
fn undone_work_tells_nobody(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let hook = make(&mut fixture, &ann, EVERY, HookScope::Library);
    let failed: Result<(), _> = fixture.write(|store| {
        store.enqueue_webhook(HookEvent::NewManga, "{}", &HookAudience::Everyone, 1)?;
        Err(StoreError::Conflict)
    });
    assert_eq!(failed, Err(StoreError::Conflict));
    spread(&mut fixture, 1);
    assert_eq!(list(&mut fixture, &ann, hook, None), []);
}

/// Shows that a webhook's deliveries wait for each other, a failed one too, and that those of another
/// webhook don't wait for them.
fn deliveries_go_one_by_one_in_order(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let [one, two] = [0, 1].map(|_| make(&mut fixture, &ann, EVERY, HookScope::Library));
    for body in ["a", "b"] {
        tell(&mut fixture, HookEvent::NewManga, body, HookAudience::Everyone, 10);
    }
    let all = |body: &str| vec![(one, body.to_owned()), (two, body.to_owned())];
    assert_eq!(bodies(&mut fixture, 9), []);
    assert_eq!(bodies(&mut fixture, 10), all("a"));
    let first = due(&mut fixture, 10);
    settle(&mut fixture, &first[0], Verdict::Again(100), 11);
    settle(&mut fixture, &first[1], Verdict::Delivered, 11);
    assert_eq!(bodies(&mut fixture, 12), [(two, "b".to_owned())]);
    let wanted = DueWanted { now: 12, most: 9, most_per_user: 9, ..DueWanted::default() };
    assert_eq!(due_with(&mut fixture, wanted).next_at, Some(100));
    assert_eq!(bodies(&mut fixture, 100), [(two, "b".to_owned()), (one, "a".to_owned())], "the longest waiting first");
    settle(&mut fixture, &first[0], Verdict::Delivered, 101);
    assert_eq!(bodies(&mut fixture, 101), all("b"));
    settle(&mut fixture, &first[0], Verdict::Again(999), 102);
    let shown = list(&mut fixture, &ann, one, Some(DeliveryState::Delivered));
    assert_eq!(shown.len(), 1, "what has ended is not settled again");
    assert_eq!((shown[0].attempts, shown[0].status, shown[0].finished_at), (2, Some(200), Some(101)));
}

/// Shows that one on its way keeps its webhook back, and that a user has their share and no more.
fn calls_are_shared_between_users(mut fixture: Fixture) {
    let [ann, bob] = ["ann", "bob"].map(|name| fixture.add_user(name));
    let of_ann: Vec<WebhookId> = (0..3).map(|_| make(&mut fixture, &ann, EVERY, HookScope::Library)).collect();
    let of_bob = make(&mut fixture, &bob, EVERY, HookScope::Library);
    tell(&mut fixture, HookEvent::NewManga, "a", HookAudience::Everyone, 1);
    let mut found = |most, most_per_user, busy: &[(WebhookId, &UserId)]| -> Vec<WebhookId> {
        let busy = busy.iter().map(|(hook, owner)| (*hook, (*owner).clone())).collect();
        let due = due_with(&mut fixture, DueWanted { now: 1, most, most_per_user, busy, ..DueWanted::default() });
        due.deliveries.into_iter().map(|delivery| delivery.webhook_id).collect()
    };
    assert_eq!(found(9, 2, &[]), [of_ann[0], of_ann[1], of_bob]);
    assert_eq!(found(9, 2, &[(of_ann[1], &ann)]), [of_ann[0], of_bob]);
    assert_eq!(found(9, 1, &[(of_ann[1], &ann), (of_bob, &bob)]), [0; 0]);
    assert_eq!(found(1, 9, &[]), [of_ann[0]]);
    assert_eq!(found(0, 9, &[]), [0; 0]);
}

/// Shows that users with slow receivers have one call each, within a share for all of them, and that all others
/// have what they had, even behind a crowd of the slow ones' webhooks.
fn the_slow_share_what_is_theirs(mut fixture: Fixture) {
    let slow = ["s1", "s2", "s3", "s4", "s5", "s6"].map(|name| fixture.add_user(name));
    let good = fixture.add_user("good");
    for owner in &slow {
        for _ in 0..3 {
            make(&mut fixture, owner, EVERY, HookScope::Library);
        }
    }
    let of_good: Vec<WebhookId> = (0..3).map(|_| make(&mut fixture, &good, EVERY, HookScope::Library)).collect();
    tell(&mut fixture, HookEvent::NewManga, "a", HookAudience::Everyone, 1);
    let mut found = |busy: &[(WebhookId, &UserId)]| -> Vec<UserId> {
        let busy = busy.iter().map(|(hook, owner)| (*hook, (*owner).clone())).collect();
        let slow = slow.iter().cloned().collect();
        let wanted = DueWanted { now: 1, most: 9, most_per_user: 2, busy, slow, most_of_slow: 2 };
        due_with(&mut fixture, wanted).deliveries.into_iter().map(|delivery| delivery.owner).collect()
    };
    assert_eq!(found(&[]), [slow[0].clone(), slow[1].clone(), good.clone(), good.clone()]);
    let on_way = [(901, &slow[4]), (902, &slow[4]), (of_good[0], &good)];
    assert_eq!(found(&on_way), std::slice::from_ref(&good), "what they have on their way counts");
}

/// Shows that so many dead letters in a row disable a webhook and say so, that others wait meanwhile, and
/// that one success between them forgives.
fn failures_disable_a_webhook_and_success_forgives(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let hook = make(&mut fixture, &ann, EVERY, HookScope::Library);
    for body in ["a", "b", "c", "d", "e"] {
        tell(&mut fixture, HookEvent::NewManga, body, HookAudience::Everyone, 1);
    }
    let dead = || Verdict::Dead { disable_after: 2 };
    for (verdict, in_row, active) in
        [(dead(), 1, true), (Verdict::Delivered, 0, true), (dead(), 1, true), (dead(), 2, false)]
    {
        let next = due(&mut fixture, 1).remove(0);
        settle(&mut fixture, &next, verdict, 2);
        let shown = fixture.reader().webhook(&ann, hook).unwrap();
        assert_eq!((shown.dead_in_row, shown.disabled.is_none()), (in_row, active));
    }
    let disabled = fixture.reader().webhook(&ann, hook).unwrap().disabled.unwrap();
    assert!(disabled.contains("2 deliveries in a row"), "{disabled}");
    assert_eq!(due(&mut fixture, 9), []);
    tell(&mut fixture, HookEvent::NewManga, "f", HookAudience::Everyone, 9);
    let (who, on) = (ann.clone(), WebhookChange { active: Some(true), ..WebhookChange::default() });
    let again = fixture.write(|store| store.change_webhook(&who, hook, &on, 10)).unwrap();
    assert_eq!((again.dead_in_row, again.disabled), (0, None));
    assert_eq!(bodies(&mut fixture, 10), [(hook, "e".to_owned())]);
    assert_eq!(list(&mut fixture, &ann, hook, None).len(), 5, "a disabled webhook is told nothing new");
}

/// Shows that 410 ends it at once.
fn a_receiver_that_wants_no_more_is_left_alone(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let hook = make(&mut fixture, &ann, EVERY, HookScope::Library);
    tell(&mut fixture, HookEvent::NewManga, "a", HookAudience::Everyone, 1);
    let next = due(&mut fixture, 1).remove(0);
    settle(&mut fixture, &next, Verdict::Unwanted, 2);
    assert!(fixture.reader().webhook(&ann, hook).unwrap().disabled.unwrap().contains("410"));
    assert_eq!(list(&mut fixture, &ann, hook, Some(DeliveryState::Dead)).len(), 1);
}

/// Shows that what has ended, and only that, can be sent again, before what came after it.
fn ended_deliveries_can_be_replayed(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let hook = make(&mut fixture, &ann, EVERY, HookScope::Library);
    for body in ["a", "b"] {
        tell(&mut fixture, HookEvent::NewManga, body, HookAudience::Everyone, 1);
    }
    let first = due(&mut fixture, 1).remove(0);
    let who = ann.clone();
    let early = fixture.write(|store| store.replay_delivery(&who, hook, first.id, 2));
    assert_eq!(early, Err(StoreError::Conflict));
    settle(&mut fixture, &first, Verdict::Dead { disable_after: 9 }, 3);
    assert_eq!(bodies(&mut fixture, 3), [(hook, "b".to_owned())]);
    let replayed = fixture.write(|store| store.replay_delivery(&who, hook, first.id, 4)).unwrap();
    assert_eq!((replayed.state, replayed.attempts, replayed.finished_at), (DeliveryState::Pending, 0, None));
    assert_eq!(bodies(&mut fixture, 4), [(hook, "a".to_owned())]);
    let missing = fixture.write(|store| store.replay_delivery(&who, hook, 404, 4));
    assert_eq!(missing, Err(StoreError::NotFound));
    let pages = DeliveriesWanted { state: None, before: None, limit: 1 };
    let latest = fixture.reader().deliveries(&ann, hook, pages).unwrap().remove(0);
    let before = DeliveriesWanted { before: Some(latest.id), ..pages };
    assert_eq!(fixture.reader().deliveries(&ann, hook, before).unwrap()[0].id, first.id);
}

/// Shows that the oldest that has ended makes room, and that what finds none is counted.
fn deliveries_of_a_webhook_are_bounded(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let hook = make(&mut fixture, &ann, EVERY, HookScope::Library);
    let who = ann.clone();
    fixture
        .write(|store| (1..DELIVERIES_MAX).try_for_each(|_| store.test_webhook(&who, hook, "{}", 1).map(drop)))
        .unwrap();
    let first = due(&mut fixture, 1).remove(0);
    settle(&mut fixture, &first, Verdict::Delivered, 1);
    for body in ["a", "b", "c"] {
        tell(&mut fixture, HookEvent::NewManga, body, HookAudience::Everyone, 2);
    }
    let all = list(&mut fixture, &ann, hook, None);
    assert_eq!((all.len(), all[0].body.as_str()), (DELIVERIES_MAX as usize, "b"));
    assert!(all.iter().all(|delivery| delivery.id != first.id));
    assert_eq!(fixture.reader().webhook(&ann, hook).unwrap().missed, 1);
    let full = fixture.write(|store| store.test_webhook(&who, hook, "{}", 3));
    assert_eq!(full, Err(StoreError::TooMuch));
    fixture.write(|store| store.delete_webhook(&who, hook)).unwrap();
}

/// Shows that what is too old goes, some rows at a time, and nothing else.
fn old_deliveries_are_forgotten(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let hook = make(&mut fixture, &ann, EVERY, HookScope::Library);
    for at in 1..=9 {
        tell(&mut fixture, HookEvent::NewManga, "{}", HookAudience::Everyone, at);
    }
    let mut jobs = 0;
    while fixture.write(|store| store.prune_webhooks(6, 2)).unwrap() {
        jobs += 1;
        assert!(jobs < 20, "it comes to an end");
    }
    let left: Vec<UnixMillis> = list(&mut fixture, &ann, hook, None).iter().map(|row| row.created_at).collect();
    assert_eq!(left, [9, 8, 7, 6]);
    assert_eq!(due(&mut fixture, 9).len(), 1, "what is left goes on");
}

/// Shows that an event that was not spread, and a delivery that was, are found after a restart.
fn what_waits_survives_a_restart(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    make(&mut fixture, &ann, EVERY, HookScope::Library);
    tell(&mut fixture, HookEvent::NewManga, "a", HookAudience::Everyone, 1);
    let unspread = |store: &mut dyn Store| store.enqueue_webhook(HookEvent::NewManga, "b", &HookAudience::Everyone, 1);
    fixture.write(unspread).unwrap();
    let mut fixture = fixture.reopened();
    assert_eq!(due(&mut fixture, 1)[0].body, "a");
    assert_eq!(spread(&mut fixture, 1), 2, "a slice, and the end");
    let first = due(&mut fixture, 1).remove(0);
    settle(&mut fixture, &first, Verdict::Delivered, 1);
    assert_eq!(due(&mut fixture, 1)[0].body, "b");
}

/// Shows that a reader refuses every verb that writes.
fn readers_make_no_webhooks(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let id = make(&mut fixture, &ann, EVERY, HookScope::Library);
    let attempt = Attempt { id: 1, webhook_id: id, status: None, error: None, verdict: Verdict::Delivered, at: 1 };
    let reader = fixture.reader();
    let refused = [
        reader.create_webhook(&ann, &new(EVERY, HookScope::Library), 9, 0).map(drop),
        reader.change_webhook(&ann, id, &WebhookChange::default(), 0).map(drop),
        reader.set_webhook_secret(&ann, id, "x", 0).map(drop),
        reader.delete_webhook(&ann, id),
        reader.test_webhook(&ann, id, "{}", 0).map(drop),
        reader.replay_delivery(&ann, id, 1, 0).map(drop),
        reader.enqueue_webhook(HookEvent::Test, "{}", &HookAudience::Everyone, 0).map(drop),
        reader.spread_webhooks(0).map(drop),
        reader.settle_delivery(&attempt),
        reader.prune_webhooks(0, 1).map(drop),
    ];
    assert_eq!(refused, [Err(StoreError::Unavailable); 10]);
}
