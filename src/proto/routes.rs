//! The table of routes: how each wire says each thing that the system does.
//!
//! A route joins a place on a wire (a method and path, a message type), a call, and the function
//! that reads the call's arguments there. A new message is one line here and one call in
//! `handlers/`. How answers look is the family's file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use smallvec::SmallVec;

use super::http1::{Method, Request};
use super::json::Object;
use super::{chat, grpc, handshake, internal, openapi, sync, v1, v2, ws_text};
use crate::handlers::api::{ApiError, ErrorKind, Via};
use crate::handlers::effect::Lane;
use crate::handlers::session::{ServiceKind, Session};
use crate::handlers::{Access, Call, Ctx};

/// How one wire says one call.
pub struct Route {
    /// Where on the wire.
    pub on: On,
    /// The call's name.
    pub name: &'static str,
    /// Who may make it.
    pub access: Access,
    /// Where its work runs.
    pub lane: Lane,
    /// How its answers look.
    pub family: Family,
    /// Whether it counts against the user's rate.
    pub metered: bool,
    /// Whether clients may keep its answers, and ask by their tag whether they still hold.
    pub kept: bool,
    /// Whether a session begins by it: the first message, and no other.
    pub begins: bool,
    prepare: Prepare,
    run: Run,
}

/// A place on a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum On {
    /// A method and a path, whose `{…}` segments stand for any one.
    Http(Method, &'static str),
    /// A message type on a sync service or a WebSocket.
    Line(ServiceKind, &'static str),
    /// The path of a gRPC method.
    Rpc(&'static str),
}

/// Whose shapes an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `{"success":…}`, under `/api/v1`.
    V1,
    /// `{"error":…}`, the second family's HTTP.
    V2,
    /// The operator's pages.
    Internal,
    /// A sync service's lines.
    Sync,
    /// A gRPC package's messages.
    Rpc(Package),
}

/// Whose messages a gRPC method has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Package {
    /// The first family's.
    Manga,
    /// The second family's.
    Pb,
    /// This server's own.
    Own,
    /// Those of the health protocol.
    Health,
}

impl Family {
    /// What a request is told that comes without a header, with a bad header, with a bad token: its
    /// clients know these words.
    pub const fn unauthorized(self) -> [&'static str; 3] {
        match self {
            Family::V2 => ["missing authorization header", "invalid authorization header format", "invalid token"],
            _ => ["Authorization header required", "Invalid authorization header format", "Invalid or expired token"],
        }
    }
}

/// A message as a route reads it.
pub enum Input<'a> {
    /// A request, and what its path's `{…}` stood for.
    Http(&'a Request<'a>, &'a [Cow<'a, str>]),
    /// A line's `data`.
    Line(Object<'a>),
    /// A gRPC message.
    Rpc(&'a Bytes),
}

/// A call with its arguments, ready to be run once access is known.
pub type Prepared = Box<dyn FnOnce(&mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send>;

type Prepare = Box<dyn Fn(&Input<'_>) -> Result<Prepared, ApiError> + Send + Sync>;

type Run = Box<dyn Fn(&Input<'_>, &mut Session, &mut Ctx<'_>) -> Result<(), ApiError> + Send + Sync>;

/// Every route.
pub static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let mut routes = v1::routes();
    routes.extend(v2::routes());
    routes.extend(openapi::routes());
    routes.extend(internal::routes());
    routes.extend(sync::routes());
    routes.extend(chat::routes());
    routes.extend(handshake::routes());
    routes.extend(ws_text::routes());
    routes.extend(grpc::routes());
    routes
});

static INDEX: LazyLock<Index> = LazyLock::new(|| Index::new(&ROUTES));

impl Route {
    /// A call made by an HTTP request.
    pub fn http<A: Send + 'static>(
        family: Family,
        method: Method,
        path: &'static str,
        call: Call<A>,
        read: fn(&HttpInput<'_>) -> Result<A, ApiError>,
    ) -> Self {
        Self::new(On::Http(method, path), family, call, move |input| match input {
            Input::Http(request, params) => read(&HttpInput { request, params }),
            _ => Err(ApiError::invalid("not a request")),
        })
    }

    /// A call made by a line.
    pub fn line<A: Send + 'static>(
        service: ServiceKind,
        kind: &'static str,
        call: Call<A>,
        read: fn(&Object<'_>) -> Result<A, ApiError>,
    ) -> Self {
        Self::new(On::Line(service, kind), Family::Sync, call, move |input| match input {
            Input::Line(data) => read(data),
            _ => Err(ApiError::invalid("not a line")),
        })
    }

    /// A call made by a gRPC message.
    pub fn rpc<M: prost::Message + Default + 'static, A: Send + 'static>(
        package: Package,
        path: &'static str,
        call: Call<A>,
        read: fn(M) -> Result<A, ApiError>,
    ) -> Self {
        Self::new(On::Rpc(path), Family::Rpc(package), call, move |input| match input {
            Input::Rpc(message) => {
                let message = M::decode(Bytes::clone(message));
                read(message.map_err(|_| ApiError::new(ErrorKind::InvalidMessage, "The message can't be read"))?)
            }
            _ => Err(ApiError::invalid("not a message")),
        })
    }

    /// The package of a gRPC method.
    pub fn package(&self) -> Option<Package> {
        match self.family {
            Family::Rpc(package) => Some(package),
            _ => None,
        }
    }

    fn new<A: Send + 'static>(
        on: On,
        family: Family,
        call: Call<A>,
        read: impl Fn(&Input<'_>) -> Result<A, ApiError> + Copy + Send + Sync + 'static,
    ) -> Self {
        let call_with = call.run;
        let prepare = move |input: &Input<'_>| -> Result<Prepared, ApiError> {
            let args = read(input)?;
            Ok(Box::new(move |session, ctx| call_with(args, session, ctx)))
        };
        let run =
            move |input: &Input<'_>, session: &mut Session, ctx: &mut Ctx<'_>| call_with(read(input)?, session, ctx);
        Self {
            on,
            name: call.name,
            access: call.access,
            lane: call.lane,
            family,
            metered: true,
            kept: false,
            begins: false,
            prepare: Box::new(prepare),
            run: Box::new(run),
        }
    }

    /// The same, not counted against the user's rate.
    pub fn unmetered(mut self) -> Self {
        self.metered = false;
        self
    }

    /// The same, with answers that clients may keep: what everybody is shown alike.
    pub fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// The same, as the message that begins a session. It comes before there is a user to count it against.
    pub fn beginning(mut self) -> Self {
        self.begins = true;
        self.unmetered()
    }

    /// The same, for whoever passes `access` instead: the families differ in what they show to whom.
    pub fn needs(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Reads the call's arguments and makes it, for somebody who may: [`Route::prepare`] in one step, with nothing to
    /// keep in between.
    pub fn run(&self, input: &Input<'_>, session: &mut Session, ctx: &mut Ctx<'_>) -> Result<(), ApiError> {
        (self.run)(input, session, ctx)
    }

    /// Reads the call's arguments, where it isn't known yet who makes it.
    pub fn prepare(&self, input: &Input<'_>) -> Result<Prepared, ApiError> {
        (self.prepare)(input)
    }
}

/// A request as a route's reader sees it.
pub struct HttpInput<'a> {
    /// The request.
    pub request: &'a Request<'a>,
    params: &'a [Cow<'a, str>],
}

impl<'a> HttpInput<'a> {
    /// What the path's first `{…}` stood for.
    pub fn param(&self) -> &str {
        self.params.first().map_or("", |param| param)
    }

    /// What the path's second `{…}` stood for.
    pub fn second_param(&self) -> &str {
        self.params.get(1).map_or("", |param| param)
    }

    /// The body as a JSON object.
    pub fn body(&self) -> Result<Object<'a>, ApiError> {
        Object::body(self.request.body)
    }

    /// A part of the query; an empty one counts as not there.
    pub fn query(&self, name: &str) -> Option<Cow<'a, str>> {
        self.request
            .query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }
}

/// A route and its number.
pub type Found = (Via, &'static Route);

/// What a method and path lead to.
pub enum Match<'a> {
    /// A route, and what its `{…}` stood for.
    Found(Found, SmallVec<[Cow<'a, str>; 2]>),
    /// The path is there, the method is not: these are, for `Allow`.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

/// The route of a line.
pub fn find_line(service: ServiceKind, kind: &str) -> Option<Found> {
    let place = INDEX.lines.binary_search_by_key(&(service, kind), |(place, _)| *place).ok()?;
    let via = INDEX.lines[place].1;
    Some((via, &ROUTES[via.0 as usize]))
}

/// The route of a gRPC method.
pub fn find_rpc(path: &str) -> Option<Found> {
    let via = *INDEX.rpcs.get(path)?;
    Some((via, &ROUTES[via.0 as usize]))
}

/// The path of every gRPC method that has a route.
#[cfg(test)]
pub fn rpc_paths() -> impl Iterator<Item = &'static str> {
    INDEX.rpcs.keys().copied()
}

/// The route of a request. HEAD is answered as GET is, without the body. A slash at the end changes
/// nothing: one of the families' clients sends it, the other does not.
pub fn find_http<'a>(method: Method, segments: &[Cow<'a, str>], internal: bool) -> Match<'a> {
    let segments = match segments {
        [path @ .., last] if last.is_empty() => path,
        path => path,
    };
    let root = if internal { &INDEX.internal } else { &INDEX.public };
    let mut params = SmallVec::new();
    let Some(node) = root.find(segments, &mut params) else { return Match::Nothing };
    let wanted = if method == Method::Head { Method::Get } else { method };
    match node.methods.iter().find(|(other, _)| *other == wanted) {
        Some((_, via)) => Match::Found((*via, &ROUTES[via.0 as usize]), params),
        None => Match::OtherMethods(node.allow()),
    }
}

/// The routes by what is looked up: a tree of path segments, a table of message types.
#[derive(Default)]
struct Index {
    public: Node,
    internal: Node,
    /// Sorted. They are few, and halving them is quicker than hashing what a stranger wrote.
    lines: Vec<((ServiceKind, &'static str), Via)>,
    rpcs: HashMap<&'static str, Via>,
}

#[derive(Default)]
struct Node {
    children: HashMap<&'static str, Node>,
    any: Option<Box<Node>>,
    methods: Vec<(Method, Via)>,
}

impl Index {
    fn new(routes: &'static [Route]) -> Self {
        let mut index = Self::default();
        for (number, route) in routes.iter().enumerate() {
            let via = Via(number as u16);
            match route.on {
                On::Line(service, kind) => index.lines.push(((service, kind), via)),
                On::Rpc(path) => drop(index.rpcs.insert(path, via)),
                On::Http(method, path) => {
                    // What load balancers ask is answered on both sides.
                    if route.family != Family::Internal {
                        index.public.insert(path, method, via);
                    }
                    if route.family == Family::Internal || path == "/health" {
                        index.internal.insert(path, method, via);
                    }
                }
            }
        }
        index.lines.sort_unstable_by_key(|(place, _)| *place);
        index
    }
}

impl Node {
    fn insert(&mut self, path: &'static str, method: Method, via: Via) {
        let mut node = self;
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            node = match segment.starts_with('{') {
                true => node.any.get_or_insert_default(),
                false => node.children.entry(segment).or_default(),
            };
        }
        node.methods.push((method, via));
    }

    /// The place of a path. A fixed segment wins over `{…}`, unless the rest of the path leads nowhere
    /// from there: a series may be called `all`. It goes as deep as the tree does, however long the path.
    fn find<'a>(&self, segments: &[Cow<'a, str>], params: &mut SmallVec<[Cow<'a, str>; 2]>) -> Option<&Node> {
        let Some((segment, rest)) = segments.split_first() else {
            return (!self.methods.is_empty()).then_some(self);
        };
        let fixed = self.children.get(segment.as_ref());
        if let Some(found) = fixed.and_then(|child| child.find(rest, params)) {
            return Some(found);
        }
        let any = self.any.as_ref().filter(|_| !segment.is_empty())?;
        params.push(segment.clone());
        let found = any.find(rest, params);
        if found.is_none() {
            params.pop();
        }
        found
    }

    /// The methods for `Allow`, HEAD and OPTIONS among them.
    fn allow(&self) -> String {
        let mut names: Vec<&str> = self.methods.iter().map(|(method, _)| name(*method)).collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.push("OPTIONS");
        names.join(", ")
    }
}

/// A method as it is written.
pub const fn name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Patch => "PATCH",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Connect => "CONNECT",
        Method::Other => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// No two routes claim the same place, and no two calls of one service the same name.
    #[test]
    fn places_are_unique() {
        let places: HashSet<On> = ROUTES.iter().map(|route| route.on).collect();
        assert_eq!(places.len(), ROUTES.len());
    }

    /// A call's name stands for one lane on every wire.
    #[test]
    fn a_name_means_one_call() {
        let mut calls: HashMap<&str, Lane> = HashMap::new();
        for route in ROUTES.iter() {
            assert_eq!(*calls.entry(route.name).or_insert(route.lane), route.lane, "{}", route.name);
        }
    }

    fn found(method: Method, path: &str, internal: bool) -> String {
        let segments: Vec<Cow<'_, str>> = path.split('/').skip(1).map(Cow::from).collect();
        match find_http(method, &segments, internal) {
            Match::Found((_, route), params) => format!("{} {}", route.name, params.join(",")),
            Match::OtherMethods(allow) => format!("allow {allow}"),
            Match::Nothing => "nothing".into(),
        }
    }

    /// Fixed segments win over `{…}`, a slash at the end changes nothing, HEAD is GET.
    #[test]
    fn paths_lead_to_routes() {
        assert_eq!(found(Method::Get, "/api/v1/manga/all", false), "manga.search ");
        assert_eq!(found(Method::Get, "/api/v1/manga/one-piece", false), "manga.detail one-piece");
        assert_eq!(found(Method::Head, "/api/v1/manga/one-piece/", false), "manga.detail one-piece");
        assert_eq!(found(Method::Delete, "/api/v1/manga/x", false), "allow GET, HEAD, OPTIONS");
        assert_eq!(found(Method::Get, "/api/v1", false), "nothing");
        assert_eq!(found(Method::Get, "/api/v1/manga//", false), "nothing");
        assert_eq!(found(Method::Get, "/metrics", false), "nothing");
        assert_eq!(found(Method::Get, "/metrics", true), "metrics ");
    }

    /// A fixed segment from which the rest of the path leads nowhere stands for itself no longer, and
    /// what was tried on the way leaves no argument behind.
    #[test]
    fn a_dead_end_is_left_again() {
        let mut root = Node::default();
        let paths = ["/a/all", "/a/{x}/b", "/a/me/{y}", "/{x}/{y}/{z}/end", "/a/me/me"];
        (1..).zip(paths).for_each(|(number, path)| root.insert(path, Method::Get, Via(number)));
        let look = |path: &str| {
            let segments: Vec<Cow<'_, str>> = path.split('/').skip(1).map(|word| word.to_owned().into()).collect();
            let mut params = SmallVec::new();
            let via = root.find(&segments, &mut params).map_or(0, |node| node.methods[0].1.0);
            format!("{via} {}", params.join(","))
        };
        assert_eq!(look("/a/all"), "1 ");
        assert_eq!(look("/a/all/b"), "2 all");
        assert_eq!(look("/a/me/b"), "3 b");
        assert_eq!(look("/a/me/me"), "5 ");
        assert_eq!(look("/a/me/b/end"), "4 a,me,b");
        assert_eq!(look("/a/all/c"), "0 ");
        assert_eq!(look("/a//b"), "0 ");
        assert_eq!(look(&"/a".repeat(4000)), "0 ");
    }
}
