//! Who listens to notifications now: the users for whom somebody has joined
//! [`Topic::Notices`](crate::handlers::api::Topic::Notices).
//!
//! Only they are looked up when a chapter comes out, so a crowd that doesn't listen costs nothing.
//! Whatever joins that topic says so here, once, and says so again when it leaves.

use std::collections::HashMap;

use crate::handlers::session::MemberId;

/// How many places listen for each user.
#[derive(Debug, Default)]
pub struct Listeners {
    places: HashMap<MemberId, u32>,
}

impl Listeners {
    /// A connection or a lease of this user listens from now on.
    pub fn enter(&mut self, member: MemberId) {
        *self.places.entry(member).or_insert(0) += 1;
    }

    /// It listens no longer.
    pub fn leave(&mut self, member: MemberId) {
        let Some(places) = self.places.get_mut(&member) else { return };
        *places -= 1;
        if *places == 0 {
            self.places.remove(&member);
        }
        if self.places.is_empty() {
            // Memory goes with the last of a crowd.
            self.places = HashMap::new();
        }
    }

    /// Whether somebody listens for this user.
    pub fn has(&self, member: MemberId) -> bool {
        self.places.contains_key(&member)
    }

    /// Everybody who listens, in an order that stays the same for the same crowd.
    pub fn all(&self) -> Vec<MemberId> {
        let mut members: Vec<MemberId> = self.places.keys().copied().collect();
        members.sort_unstable();
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::session::Members;
    use crate::store::model::{Role, UserId};

    /// A user listens as long as one of their places does.
    #[test]
    fn a_user_listens_until_the_last_place_has_left() {
        let mut members = Members::default();
        let member = members.enter(&UserId::parse("ann").unwrap(), "ann", Role::User, 0).unwrap();
        let mut listeners = Listeners::default();
        listeners.enter(member);
        listeners.enter(member);
        listeners.leave(member);
        assert!(listeners.has(member));
        assert_eq!(listeners.all(), [member]);
        listeners.leave(member);
        listeners.leave(member);
        assert!(!listeners.has(member) && listeners.all().is_empty());
    }
}
