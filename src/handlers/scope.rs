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

/// What a token grants: what its role does, or, where the token has scopes of its own, what both do. So
/// a token can be made for less than its user may do, and never for more.
pub fn granted(role: Role, own: Option<&[String]>) -> Vec<String> {
    let of_role = of(role);
    let Some(own) = own else { return of_role.iter().map(|scope| (*scope).to_owned()).collect() };
    let within = |scope: &&String| of_role.iter().any(|other| covers(other, scope));
    let mut granted: Vec<String> = own.iter().filter(within).cloned().collect();
    for scope in of_role.iter().filter(|scope| own.iter().any(|other| covers(other, scope))) {
        if !granted.iter().any(|other| other == scope) {
            granted.push((*scope).to_owned());
        }
    }
    granted
}

/// Whether a token of this role, with these scopes of its own, may do what needs the scope `wanted`.
pub fn allows(role: Role, own: Option<&[String]>, wanted: &str) -> bool {
    of(role).iter().any(|granted| covers(granted, wanted))
        && own.is_none_or(|own| own.iter().any(|granted| covers(granted, wanted)))
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
        assert!(allows(Role::User, None, "read:manga") && !allows(Role::User, None, "write:manga"));
        assert!(!allows(Role::User, None, "read:*") && allows(Role::Admin, None, "delete:manga"));
    }

    /// A token's own scopes take away and never add.
    #[test]
    fn own_scopes_only_narrow() {
        let own = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<String>>();
        let all = own(&["*"]);
        assert!(allows(Role::User, Some(&all), "read:manga") && !allows(Role::User, Some(&all), "write:manga"));
        let reading = own(&["read:*", "write:manga", "", "nonsense", "*:*"]);
        assert!(allows(Role::User, Some(&reading), "read:library"));
        assert!(!allows(Role::User, Some(&reading), "write:library"));
        assert!(!allows(Role::User, Some(&reading), "write:manga"));
        assert!(!allows(Role::Admin, Some(&reading), "delete:manga"));
        assert!(!allows(Role::Admin, Some(&[]), "read:manga"));
        assert_eq!(granted(Role::User, Some(&own(&["write:library", "delete:manga"]))), ["write:library"]);
        assert_eq!(
            granted(Role::User, Some(&own(&["read:*"]))),
            ["read:manga", "read:library", "read:genre", "read:progress"]
        );
        assert_eq!(granted(Role::Admin, Some(&own(&["read:manga"]))), ["read:manga"]);
        assert_eq!(granted(Role::User, None), of(Role::User));
    }
}
