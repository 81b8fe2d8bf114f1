//! Notifications: for whom they are, what is read, what is missed, and when they go.

use mangahub::store::{LISTENERS_MAX, MUTES_MAX, NOTICES_OWN, NOTICES_SHOWN, PRUNED_ROWS_MAX, REPEAT_MS};

use super::*;

contract!(
    a_notification_comes_back_as_it_was,
    everyone_is_everyone_since_they_registered,
    readers_are_those_who_had_it_then,
    a_chapter_is_told_once,
    reading_marks_one_or_all,
    inboxes_are_paged,
    nobody_hides_what_is_for_others,
    what_was_missed_is_behind_a_cursor,
    wishes_are_followed,
    audiences_are_looked_up_in_parts,
    old_notifications_go_with_their_marks,
    notices_of_nobody_are_not_found,
    readers_tell_nothing,
    administrators_tell_by_changing,
);

fn blank(kind: NoticeKind, manga: Option<MangaId>) -> Notification {
    Notification {
        id: 0,
        kind,
        manga: manga.map(|id| NoticeManga { id, slug: "given".into() }),
        title: "T".into(),
        message: "M".into(),
        chapter: None,
        old_chapter: None,
        chapter_title: None,
        release_date: None,
        changes: Vec::new(),
        at: 0,
    }
}

fn tell(fixture: &mut Fixture, audience: Audience, notification: Notification, now: UnixMillis) -> Option<NoticeId> {
    let notice = NewNotice { audience, notification, insists: false };
    fixture.write(move |store| store.add_notice(&notice, now)).unwrap().map(|stored| stored.id)
}

fn chapter(manga: MangaId, number: i64) -> Notification {
    Notification { chapter: Chapter::whole(number), ..blank(NoticeKind::NewChapter, Some(manga)) }
}

fn query(unread: bool, before: Option<NoticeId>, limit: u32) -> InboxQuery {
    InboxQuery { unread, before, limit }
}

fn inbox(fixture: &mut Fixture, user: &UserId, unread: bool) -> Vec<NoticeId> {
    let found = fixture.reader().notices(user, query(unread, None, 100)).unwrap();
    found.items.iter().map(|(told, _)| told.id).collect()
}

fn keep(fixture: &mut Fixture, user: &UserId, manga: MangaId, now: UnixMillis) {
    let change = ProgressChange { received_at: now, ..change(user, manga) };
    fixture.add(change, ReadingStatus::Reading).unwrap();
}

/// Shows that every member comes back, and that a series is known by its slug of now.
fn a_notification_comes_back_as_it_was(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let slug = fixture.reader().manga(series).unwrap().facts.slug;
    let told = Notification {
        chapter: Chapter::from_f64(10.5),
        old_chapter: Chapter::whole(9),
        chapter_title: Some("' OR 1=1 -- 界".into()),
        release_date: Some("soon".into()),
        changes: vec![FieldChange { field: "f".into(), old_value: serde_json::Value::Null, new_value: 5.into() }],
        ..blank(NoticeKind::NewChapter, Some(series))
    };
    let id = tell(&mut fixture, Audience::User(ann.clone()), told.clone(), 50).unwrap();
    let found = fixture.reader().notices(&ann, query(false, None, 5)).unwrap();
    let manga = Some(NoticeManga { id: series, slug });
    assert_eq!(found.items, [(Notification { id, at: 50, manga, ..told }, false)]);
    assert_eq!((found.more, found.unread), (false, 1));
    let unknown = blank(NoticeKind::MangaUpdate, Some(987_654));
    tell(&mut fixture, Audience::User(ann.clone()), unknown, 60).unwrap();
    let found = fixture.reader().notices(&ann, query(false, None, 1)).unwrap();
    assert_eq!(found.items[0].0.manga.as_ref().unwrap().slug, "987654");
    assert!(found.more);
}

/// Shows that everyone's are not those from before somebody came, and one user's are nobody else's.
fn everyone_is_everyone_since_they_registered(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    let since = fixture.reader().user(&ann).unwrap().created_at;
    tell(&mut fixture, Audience::Everyone, blank(NoticeKind::NewManga, None), since - 1).unwrap();
    let all = tell(&mut fixture, Audience::Everyone, blank(NoticeKind::NewManga, None), since).unwrap();
    let own = tell(&mut fixture, Audience::User(ann.clone()), blank(NoticeKind::Test, None), since).unwrap();
    assert_eq!(inbox(&mut fixture, &ann, false), [own, all]);
    assert_eq!(inbox(&mut fixture, &bob, false), [all]);
}

/// Shows that readers are those who had the series in their library when it was told.
fn readers_are_those_who_had_it_then(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let bob = fixture.add_user("bob");
    tell(&mut fixture, Audience::Readers, chapter(series, 1), 100).unwrap();
    keep(&mut fixture, &ann, series, 200);
    let second = tell(&mut fixture, Audience::Readers, chapter(series, 2), 300).unwrap();
    assert_eq!(inbox(&mut fixture, &ann, false), [second]);
    assert_eq!(inbox(&mut fixture, &bob, false), [0; 0]);
}

/// Shows that a chapter is told once within a while, unless somebody insists, and other chapters, series and
/// kinds are not it.
fn a_chapter_is_told_once(mut fixture: Fixture) {
    let (_, series) = fixture.pair();
    assert!(tell(&mut fixture, Audience::Readers, chapter(series, 1), 0).is_some());
    assert!(tell(&mut fixture, Audience::Readers, chapter(series, 1), REPEAT_MS - 1).is_none());
    assert!(tell(&mut fixture, Audience::Everyone, chapter(series, 1), REPEAT_MS - 1).is_none());
    assert!(tell(&mut fixture, Audience::Readers, chapter(series, 2), 1).is_some());
    assert!(tell(&mut fixture, Audience::Readers, chapter(series + 1, 1), 1).is_some());
    assert!(tell(&mut fixture, Audience::Readers, chapter(series, 1), REPEAT_MS).is_some());
    for _ in 0..2 {
        assert!(tell(&mut fixture, Audience::Readers, blank(NoticeKind::MangaUpdate, Some(series)), 1).is_some());
    }
    let insists = NewNotice { audience: Audience::Everyone, notification: chapter(series, 2), insists: true };
    assert!(fixture.write(|store| store.add_notice(&insists, 2)).unwrap().is_some());
}

/// Shows that one is marked as read, that all so far are, and that what comes later is not; and that
/// nobody marks what isn't theirs.
fn reading_marks_one_or_all(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    let since = fixture.reader().user(&ann).unwrap().created_at;
    let mut news = || tell(&mut fixture, Audience::Everyone, blank(NoticeKind::NewManga, None), since).unwrap();
    let [first, second, third] = [news(), news(), news()];
    let own = tell(&mut fixture, Audience::User(bob.clone()), blank(NoticeKind::Test, None), since).unwrap();
    for _ in 0..2 {
        fixture.write(|store| store.read_notice(&ann, second)).unwrap();
    }
    for other in [own, 0, -1, i64::MAX] {
        assert_eq!(fixture.write(|store| store.read_notice(&ann, other)), Err(StoreError::NotFound), "{other}");
    }
    assert_eq!(inbox(&mut fixture, &ann, true), [third, first]);
    assert_eq!(fixture.reader().notices(&ann, query(false, None, 9)).unwrap().unread, 2);
    fixture.write(|store| store.read_all_notices(&ann)).unwrap();
    assert_eq!(inbox(&mut fixture, &ann, true), [0; 0]);
    assert_eq!(inbox(&mut fixture, &bob, true), [own, third, second, first]);
    let fourth = tell(&mut fixture, Audience::Everyone, blank(NoticeKind::NewManga, None), since).unwrap();
    assert_eq!(inbox(&mut fixture, &ann, true), [fourth]);
    fixture.write(|store| store.read_notice(&ann, first)).unwrap();
}

/// Shows that pages follow each other without a gap.
fn inboxes_are_paged(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let told: Vec<NoticeId> = (0..7)
        .map(|at| tell(&mut fixture, Audience::User(ann.clone()), blank(NoticeKind::Test, None), at).unwrap())
        .collect();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = fixture.reader().notices(&ann, query(false, before, 3)).unwrap();
        seen.extend(page.items.iter().map(|(told, _)| told.id));
        before = seen.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, told.into_iter().rev().collect::<Vec<_>>());
}

/// Shows that whatever others try out takes nobody's place, that of one's own tries the newest are kept, and that
/// a busy catalogue does not push out what is for one user alone.
fn nobody_hides_what_is_for_others(mut fixture: Fixture) {
    let (ann, bob) = (fixture.add_user("ann"), fixture.add_user("bob"));
    let since = fixture.reader().user(&ann).unwrap().created_at;
    let news = tell(&mut fixture, Audience::Everyone, blank(NoticeKind::NewManga, None), since).unwrap();
    let own = tell(&mut fixture, Audience::User(ann.clone()), blank(NoticeKind::Test, None), since).unwrap();
    let many = |fixture: &mut Fixture, audience: Audience| {
        let notice = NewNotice { audience, notification: blank(NoticeKind::MangaUpdate, Some(9)), insists: false };
        fixture
            .write(|store| (0..=NOTICES_SHOWN).try_for_each(|_| store.add_notice(&notice, since).map(drop)))
            .unwrap();
    };
    many(&mut fixture, Audience::User(bob.clone()));
    assert_eq!(inbox(&mut fixture, &ann, true), [own, news]);
    assert_eq!(fixture.reader().notices(&ann, query(false, None, 1)).unwrap().unread, 2);
    let missed = fixture.reader().undelivered_notices(&ann, 9).unwrap();
    assert_eq!(missed.iter().map(|told| told.id).collect::<Vec<_>>(), [news, own]);
    assert_eq!(fixture.reader().notices(&bob, query(false, None, 1)).unwrap().unread, u64::from(NOTICES_OWN) + 1);
    many(&mut fixture, Audience::Readers);
    assert_eq!(inbox(&mut fixture, &ann, true), [own]);
    fixture.write(|store| store.read_notice(&ann, own)).unwrap();
    assert_eq!(inbox(&mut fixture, &ann, true), [0; 0]);
}

/// Shows that what was neither read nor sent is found, the oldest first, and that the cursor never goes
/// back nor beyond what there is.
fn what_was_missed_is_behind_a_cursor(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let test =
        |fixture: &mut Fixture| tell(fixture, Audience::User(ann.clone()), blank(NoticeKind::Test, None), 0).unwrap();
    let [first, second, third] = [test(&mut fixture), test(&mut fixture), test(&mut fixture)];
    let missed = |fixture: &mut Fixture, limit| -> Vec<NoticeId> {
        fixture.reader().undelivered_notices(&ann, limit).unwrap().iter().map(|told| told.id).collect()
    };
    assert_eq!(missed(&mut fixture, 2), [first, second]);
    fixture.write(|store| store.read_notice(&ann, second)).unwrap();
    fixture.write(|store| store.notices_delivered(&ann, first)).unwrap();
    assert_eq!(missed(&mut fixture, 9), [third]);
    fixture.write(|store| store.notices_delivered(&ann, i64::MAX)).unwrap();
    fixture.write(|store| store.notices_delivered(&ann, 0)).unwrap();
    assert_eq!(missed(&mut fixture, 9), [0; 0]);
    let fourth = test(&mut fixture);
    assert_eq!(missed(&mut fixture, 9), [fourth]);
    let no_datagrams = SettingsChange { protocols: vec![(Protocol::Udp, false)], ..SettingsChange::default() };
    fixture.write(|store| store.change_notice_settings(&ann, &no_datagrams)).unwrap();
    assert_eq!(missed(&mut fixture, 9), [0; 0]);
}

/// Shows that muted series and types are neither shown nor told, that other wishes stay, and that a
/// wish taken back shows what was there.
fn wishes_are_followed(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    keep(&mut fixture, &ann, series, 0);
    let since = fixture.reader().user(&ann).unwrap().created_at;
    let news = tell(&mut fixture, Audience::Everyone, blank(NoticeKind::NewManga, None), since).unwrap();
    let out = tell(&mut fixture, Audience::Readers, chapter(series, 1), since).unwrap();
    assert_eq!(fixture.reader().notice_settings(&ann), Ok(NoticeSettings::ALL));
    let quiet = SettingsChange { kinds: vec![(NoticeKind::NewManga, false)], protocols: vec![(Protocol::Tcp, false)] };
    let settings = fixture.write(|store| store.change_notice_settings(&ann, &quiet)).unwrap();
    assert!(!settings.kinds.has(NoticeKind::NewManga) && settings.kinds.has(NoticeKind::NewChapter));
    assert!(!settings.protocols.has(Protocol::Tcp) && settings.protocols.has(Protocol::Udp));
    assert_eq!(fixture.reader().notice_settings(&ann), Ok(settings));
    assert_eq!(inbox(&mut fixture, &ann, false), [out]);
    for _ in 0..2 {
        fixture.write(|store| store.mute_series(&ann, series)).unwrap();
    }
    assert_eq!(inbox(&mut fixture, &ann, false), [0; 0]);
    let users = [ann.clone()];
    let among = |fixture: &mut Fixture| {
        fixture.reader().audience_among(&Audience::Readers, NoticeKind::NewChapter, Some(series), &users).unwrap()
    };
    assert_eq!(among(&mut fixture), []);
    assert_eq!(fixture.reader().muted_series(&ann, 0, 9), Ok(vec![series]));
    for _ in 0..2 {
        fixture.write(|store| store.unmute_series(&ann, series)).unwrap();
    }
    assert_eq!(among(&mut fixture), [(0, settings.protocols)]);
    fixture
        .write(|store| {
            store.change_notice_settings(
                &ann,
                &SettingsChange { kinds: vec![(NoticeKind::NewManga, true)], ..SettingsChange::default() },
            )
        })
        .unwrap();
    assert_eq!(inbox(&mut fixture, &ann, false), [out, news]);
}

/// Shows that of some users those come back for whom it is, by their places, and never too many at once.
fn audiences_are_looked_up_in_parts(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let (bob, gone) = (fixture.add_user("bob"), UserId::parse("gone").unwrap());
    keep(&mut fixture, &bob, series, 0);
    let users = [ann.clone(), gone, bob.clone()];
    let mut among = |audience: Audience, users: &[UserId]| {
        let found = fixture.reader().audience_among(&audience, NoticeKind::NewChapter, Some(series), users);
        found.map(|found| found.into_iter().map(|(place, _)| place).collect::<Vec<_>>())
    };
    assert_eq!(among(Audience::Readers, &users), Ok(vec![2]));
    assert_eq!(among(Audience::Everyone, &users), Ok(vec![0, 2]));
    assert_eq!(among(Audience::User(ann.clone()), &users), Ok(vec![0]));
    let many = vec![ann; LISTENERS_MAX + 1];
    assert_eq!(among(Audience::Readers, &many), Err(StoreError::TooMuch));
}

/// Shows that old ones go in small jobs, the oldest first, their marks before them.
fn old_notifications_go_with_their_marks(mut fixture: Fixture) {
    let ann = fixture.add_user("ann");
    let told: Vec<NoticeId> = (0..5)
        .map(|at| tell(&mut fixture, Audience::User(ann.clone()), blank(NoticeKind::Test, None), at).unwrap())
        .collect();
    fixture.write(|store| store.read_notice(&ann, told[0])).unwrap();
    assert_eq!(fixture.write(|store| store.prune_notices(3, 2)), Ok(true));
    assert_eq!(inbox(&mut fixture, &ann, false), [told[4], told[3], told[2], told[1]]);
    assert_eq!(fixture.write(|store| store.prune_notices(3, PRUNED_ROWS_MAX)), Ok(false));
    assert_eq!(inbox(&mut fixture, &ann, false), [told[4], told[3]]);
    assert_eq!(fixture.write(|store| store.prune_notices(i64::MAX, PRUNED_ROWS_MAX)), Ok(false));
    let next = tell(&mut fixture, Audience::User(ann.clone()), blank(NoticeKind::Test, None), 9).unwrap();
    assert!(next > told[4], "a key is never given twice");
    assert_eq!(inbox(&mut fixture, &ann, true), [next]);
}

/// Shows that what names nobody, or no series, is not found, and that mutes are bounded.
fn notices_of_nobody_are_not_found(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let nobody = UserId::parse("nobody").unwrap();
    let not_found = StoreError::NotFound;
    assert_eq!(fixture.reader().notices(&nobody, query(false, None, 1)), Err(not_found));
    assert_eq!(fixture.reader().undelivered_notices(&nobody, 1), Err(not_found));
    assert_eq!(fixture.reader().notice_settings(&nobody), Err(not_found));
    assert_eq!(fixture.reader().muted_series(&nobody, 0, 1), Err(not_found));
    assert_eq!(fixture.write(|store| store.read_notice(&nobody, 1)), Err(not_found));
    assert_eq!(fixture.write(|store| store.read_all_notices(&nobody)), Err(not_found));
    assert_eq!(fixture.write(|store| store.notices_delivered(&nobody, 1)), Err(not_found));
    assert_eq!(fixture.write(|store| store.mute_series(&nobody, series)), Err(not_found));
    assert_eq!(fixture.write(|store| store.unmute_series(&nobody, series)), Err(not_found));
    assert_eq!(fixture.write(|store| store.mute_series(&ann, series + 999_999)), Err(not_found));
    let to_nobody =
        NewNotice { audience: Audience::User(nobody), notification: blank(NoticeKind::Test, None), insists: false };
    assert_eq!(fixture.write(move |store| store.add_notice(&to_nobody, 0)), Err(not_found));
    let many: Vec<MangaFacts> =
        (0..MUTES_MAX).map(|number| MangaFacts::named(format!("s{number}"), "S".into())).collect();
    fixture.write(move |store| store.upsert_manga(&many, 0)).unwrap();
    let keys: Vec<MangaId> =
        fixture.reader().manga_after(series, MUTES_MAX).unwrap().iter().map(|manga| manga.id).collect();
    for part in keys.chunks(100) {
        fixture.write(|store| part.iter().try_for_each(|key| store.mute_series(&ann, *key))).unwrap();
    }
    assert_eq!(fixture.write(|store| store.mute_series(&ann, series)), Err(StoreError::TooMuch));
    fixture.write(|store| store.mute_series(&ann, keys[0])).unwrap();
}

/// Shows that a reader's connection writes none of it.
fn readers_tell_nothing(mut fixture: Fixture) {
    let (ann, series) = fixture.pair();
    let notice =
        NewNotice { audience: Audience::Everyone, notification: blank(NoticeKind::NewManga, None), insists: false };
    let refused = StoreError::Unavailable;
    let reader = fixture.reader();
    assert_eq!(reader.add_notice(&notice, 0), Err(refused));
    assert_eq!(reader.read_notice(&ann, 1), Err(refused));
    assert_eq!(reader.read_all_notices(&ann), Err(refused));
    assert_eq!(reader.notices_delivered(&ann, 1), Err(refused));
    assert_eq!(reader.change_notice_settings(&ann, &SettingsChange::default()), Err(refused));
    assert_eq!(reader.mute_series(&ann, series), Err(refused));
    assert_eq!(reader.unmute_series(&ann, series), Err(refused));
    assert_eq!(reader.prune_notices(0, 1), Err(refused));
}

/// Shows that the last event is known before and after a change.
fn administrators_tell_by_changing(mut fixture: Fixture) {
    let before = fixture.reader().last_manga_event().unwrap();
    let facts = MangaFacts::named("new".into(), "New".into());
    fixture.write(move |store| store.create_manga(&facts, 1)).unwrap();
    let events = fixture.reader().manga_events(before, 9).unwrap();
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [MangaEventKind::NewManga]);
    assert_eq!(fixture.reader().last_manga_event(), Ok(events[0].seq));
}
