//! Goals: how many chapters a reader wants to read in each day, week, month or year.
//!
//! How far they are is counted when they ask, as in `stats`; nothing is stored for it.

use jiff::civil::Date;

use super::api::{self, ApiError};
use super::calendar::{Zone, first_day, last_day};
use super::effect::Lane;
use super::lists::or_not_found;
use super::session::Session;
use super::{Access, Call, Ctx};
use crate::store::model::{Goal, Period, Reading};

/// Shows the caller's goals and how far they are.
pub const LIST: Call<Zone> = Call { name: "goals.list", access: Access::User, lane: Lane::Read, run: list };
/// Shows one.
pub const GET: Call<(Period, Zone)> = Call { name: "goals.get", access: Access::User, lane: Lane::Read, run: get };
/// Sets one.
pub const SET: Call<(Period, u32)> = Call { name: "goals.set", access: Access::User, lane: Lane::Write, run: set };
/// Gives one up.
pub const DELETE: Call<Period> = Call { name: "goals.delete", access: Access::User, lane: Lane::Write, run: delete };

/// How far a reader is with a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pursuit {
    /// The goal.
    pub goal: Goal,
    /// The first and last day of the period that it is now.
    pub days: (Date, Date),
    /// Chapters read in it so far.
    pub chapters: u64,
}

/// What is answered about goals.
#[derive(Debug)]
pub enum Reply {
    /// All of them, where days begin, and whether all of the history was looked at.
    List(Vec<Pursuit>, Zone, bool),
    /// One of them.
    One(Pursuit, Zone, bool),
    /// One that was set.
    Set(Goal),
}

fn list(zone: Zone, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    pursue(zone, None, ctx, |goals, zone, complete| Ok(Reply::List(goals, zone, complete)))
}

fn get((period, zone): (Period, Zone), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    pursue(zone, Some(period), ctx, |goals, zone, complete| match goals.first() {
        Some(goal) => Ok(Reply::One(*goal, zone, complete)),
        None => Err(ApiError::not_found("There is no such goal")),
    })
}

/// Answers how far the caller is with all of their goals, or with one.
fn pursue(
    zone: Zone,
    period: Option<Period>,
    ctx: &mut Ctx<'_>,
    answer: fn(Vec<Pursuit>, Zone, bool) -> Result<Reply, ApiError>,
) -> Result<(), ApiError> {
    let (caller, today) = (ctx.caller()?, zone.day(ctx.now.unix_ms));
    ctx.run(
        Lane::Read,
        move |store| {
            let mut goals = store.goals(&caller.id)?;
            goals.retain(|goal| period.is_none_or(|period| period == goal.period));
            let Some(first) = goals.iter().map(|goal| first_day(goal.period, today)).min() else {
                return Ok((Vec::new(), zone.clone(), true));
            };
            let found = store.readings(&caller.id, Some(zone.begin(first)))?;
            let pursuits = goals.into_iter().map(|goal| pursuit(goal, &found.steps, &zone, today)).collect();
            Ok((pursuits, zone.clone(), found.complete))
        },
        move |counted, _, ctx| {
            let (pursuits, zone, complete) = counted?;
            ctx.reply(api::Reply::Goals(answer(pursuits, zone, complete)?));
            Ok(())
        },
    );
    Ok(())
}

fn pursuit(goal: Goal, steps: &[Reading], zone: &Zone, today: Date) -> Pursuit {
    let days = (first_day(goal.period, today), last_day(goal.period, today));
    let within = |step: &&Reading| (days.0..=days.1).contains(&zone.day(step.at));
    Pursuit { goal, days, chapters: steps.iter().filter(within).map(|step| step.chapters).sum() }
}

fn set((period, target): (Period, u32), _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let (caller, now) = (ctx.caller()?, ctx.now.unix_ms);
    ctx.run(
        Lane::Write,
        move |store| store.set_goal(&caller.id, period, target, now),
        |goal, _, ctx| {
            let goal = goal.map_err(|error| or_not_found(error, "This account no longer exists"))?;
            ctx.reply(api::Reply::Goals(Reply::Set(goal)));
            Ok(())
        },
    );
    Ok(())
}

fn delete(period: Period, _: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
    let caller = ctx.caller()?;
    ctx.run(
        Lane::Write,
        move |store| store.delete_goal(&caller.id, period),
        |deleted, _, ctx| {
            deleted.map_err(|error| or_not_found(error, "There is no such goal"))?;
            ctx.reply(api::Reply::Done("Goal deleted"));
            Ok(())
        },
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// A goal counts its own period, where the reader lives, and nothing around it.
    #[test]
    fn a_goal_counts_its_own_period() {
        let zone = Zone::parse("+02:00").unwrap();
        let step = |day: Date, chapters| Reading { manga_id: 1, at: zone.begin(day), chapters };
        let steps = [
            step(date(2026, 1, 1), 100),
            step(date(2026, 5, 1), 10),
            step(date(2026, 5, 4), 5),
            step(date(2026, 5, 6), 3),
            step(date(2026, 5, 7), 1),
        ];
        let chapters = |period| {
            let goal = Goal { period, target: 1, created_at: 0, updated_at: 0 };
            pursuit(goal, &steps, &zone, date(2026, 5, 6)).chapters
        };
        let periods = [Period::Day, Period::Week, Period::Month, Period::Year];
        assert_eq!(periods.map(chapters), [3, 9, 19, 119]);
    }
}
