//! What each role may do, as a table of scopes: the same in tokens, in routes and in refusals.
//!
//! A scope is `verb:thing`. A granted `verb:*` covers every thing; `*` and `admin:*` cover all.

use crate::store::model::Role;

/// The scopes that a role grants, as they stand in its tokens.
pub const fn of(role: Role) -> &'static [&'static str] {
    match role {
        Role::User => &[
            "read:manga",
            "read:library",
            "read:genre",
            "read:progress",
            "write:comment",
            "write:profile",
            "write:community_chat",
            "write:library",
            "write:progress",
        ],
        Role::Admin => &["read:*", "write:*", "delete:*", "admin:*", "library:*"],
    }
}

/// Whether a role may do what needs the scope `wanted`.
pub fn allows(role: Role, wanted: &str) -> bool {
    of(role).iter().any(|granted| covers(granted, wanted))
}

fn covers(granted: &str, wanted: &str) -> bool {
    let wildcard = || wanted.starts_with(granted.strip_suffix('*')?).then_some(());
    granted == wanted || granted == "*" || granted == "admin:*" || wildcard().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wildcard stands for what follows its colon, and an administrator may do everything.
    #[test]
    fn scopes_cover_what_they_say() {
        assert!(covers("read:*", "read:manga") && !covers("read:*", "write:manga"));
        assert!(covers("admin:*", "anything:else") && covers("*", "read:manga"));
        assert!(allows(Role::User, "read:manga") && !allows(Role::User, "write:manga"));
        assert!(!allows(Role::User, "read:*") && allows(Role::Admin, "delete:manga"));
    }
}
