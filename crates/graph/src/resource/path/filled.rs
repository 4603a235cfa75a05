//! A template with ids put in.

use std::{
    fmt::Write as _,
    hash::{Hash, Hasher},
    ops::Range,
};

use tidings_domain::resource::ResourceKind;
use uuid::Uuid;

use super::{
    PathError,
    template::{self, Part, Template},
    token::{self, Token, encode},
};
use crate::resource::table::ResourceRow;

/// A template with ids put in.
#[derive(Clone, Debug)]
pub(super) struct Filled {
    template: &'static Template,
    canonical: String,
    /// Where the ids stand in the canonical form, in the order of the template.
    ids: Vec<(&'static str, Range<usize>)>,
    tenant: Option<Uuid>,
}

impl PartialEq for Filled {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Filled {}

impl Hash for Filled {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl Filled {
    /// `template` must fit `tokens`.
    pub(super) fn new(template: &'static Template, tokens: &[Token<'_>]) -> Self {
        let mut filled = Self {
            template,
            canonical: String::with_capacity(256),
            ids: Vec::with_capacity(4),
            tenant: None,
        };
        for (place, part) in template.parts.iter().enumerate() {
            match (*part, &tokens[place]) {
                (Part::Word(word), _) => {
                    filled.slash();
                    filled.canonical.push_str(word);
                }
                (Part::Id(name), Token::Plain(id) | Token::Key(id)) => filled.id(name, id),
                (Part::Named(name), Token::Named(_, text)) => {
                    let _ = write!(filled.canonical, "({name}='");
                    filled.verbatim(name, text);
                    filled.canonical.push_str("')");
                }
                (Part::Rest(name), _) => {
                    for token in &tokens[place..] {
                        if let Token::Plain(text) = token {
                            filled.id(name, text);
                        }
                    }
                }
                // Excluded by the match that led here.
                (Part::Id(_) | Part::Named(_), _) => {}
            }
        }
        filled
    }

    /// Gives back what memory it does not need: worth it for what is kept for long.
    pub(super) fn shrink(&mut self) {
        self.canonical.shrink_to_fit();
        self.ids.shrink_to_fit();
    }

    pub(super) fn row(&self) -> &'static ResourceRow {
        self.template.row
    }

    pub(super) fn template_text(&self) -> &'static str {
        self.template.text
    }

    pub(super) fn canonical(&self) -> &str {
        &self.canonical
    }

    pub(super) fn tenant(&self) -> Option<Uuid> {
        self.tenant
    }

    pub(super) fn owner(&self) -> Option<&str> {
        match self.template.parts.first() {
            Some(Part::Word("me")) => Some("me"),
            Some(Part::Word("users")) => self.get("user"),
            _ => None,
        }
    }

    pub(super) fn mailbox(&self) -> Option<&str> {
        let in_mailbox = matches!(
            self.row().kind,
            ResourceKind::Message
                | ResourceKind::Event
                | ResourceKind::Contact
                | ResourceKind::TodoTask
        );
        self.owner().filter(|_| in_mailbox)
    }

    /// The version and the path, with everything encoded that is not safe in every server's path. `+` is encoded too:
    /// some servers refuse it in paths.
    pub(super) fn request_path(&self) -> String {
        let mut request = String::with_capacity(self.canonical.len() + 16);
        request.push_str(self.row().version.as_str());
        request.push('/');
        encode(&self.canonical, b"-._~@=:!,/%()'", &mut request);
        request
    }

    /// The version and `template`, which is encoded already, with this path's ids. An id that this path lacks is left
    /// standing as it is written in the template.
    pub(super) fn request(&self, template: &str) -> String {
        let (path, query) = match template.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (template, None),
        };
        let version = self.row().version.as_str();
        let mut request = format!("{version}/{}", self.put_into(path, b"-._~@=:!,%"));
        if let Some(query) = query {
            request.push('?');
            // `%` stands in canonical ids only as the beginning of what is encoded.
            request.push_str(&self.put_into(query, b"-._~%"));
        }
        request
    }

    /// `template`, which is one of items, with this path's ids, and with `last` for its last one.
    pub(super) fn item(&self, template: &str, last: Option<&str>) -> Result<Self, PathError> {
        let text = match (last, template.rfind('{')) {
            (Some(last), Some(end)) => {
                let last = token::encode_id(last)?;
                format!("{}{last}", self.put_into(&template[..end], KEEP_CANONICAL))
            }
            _ => self.put_into(template, KEEP_CANONICAL),
        };
        template::fill(&text, template::items())
    }

    /// `template` with this path's ids in canonical form, of which what is neither a letter or digit nor in `plain` is
    /// encoded. Whatever begins with the signed-in user stays theirs.
    fn put_into(&self, template: &str, plain: &[u8]) -> String {
        let mut text = String::with_capacity(template.len() + 160);
        let mut rest = template;
        if self.owner() == Some("me")
            && let Some(after) = rest.strip_prefix("users/{user}")
        {
            text.push_str("me");
            rest = after;
        }
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            let mut ids = self
                .ids
                .iter()
                .filter(|(id, _)| *id == name.trim_end_matches('*'));
            match ids.next() {
                None => {
                    let _ = write!(text, "{{{name}}}");
                }
                Some((_, first)) => {
                    encode(&self.canonical[first.clone()], plain, &mut text);
                    for (_, more) in ids {
                        text.push('/');
                        encode(&self.canonical[more.clone()], plain, &mut text);
                    }
                }
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }

    /// Whether no id that both have differs.
    pub(super) fn agrees_with(&self, subscription: &Self) -> bool {
        subscription.ids.iter().all(|(name, range)| {
            let wanted = &subscription.canonical[range.clone()];
            self.get(name)
                .is_none_or(|id| id == wanted || (*name == "user" && may_be_same_user(id, wanted)))
        })
    }

    fn get(&self, wanted: &str) -> Option<&str> {
        self.ids
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, range)| &self.canonical[range.clone()])
    }

    fn id(&mut self, name: &'static str, id: &str) {
        self.slash();
        let mut id = id;
        if name == "user"
            && let Some((user, tenant)) = id.split_once('@')
            && let (Some(_), Some(tenant)) = (guid(user), guid(tenant))
        {
            id = user;
            self.tenant = Some(tenant);
        }
        match guid(id) {
            Some(guid) => self.verbatim(
                name,
                guid.hyphenated().encode_lower(&mut Uuid::encode_buffer()),
            ),
            None => self.encode(name, id),
        }
    }

    fn encode(&mut self, name: &'static str, id: &str) {
        if id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
        {
            return self.verbatim(name, id);
        }
        let start = self.canonical.len();
        for letter in id.chars() {
            if letter.is_whitespace() || "/'()".contains(letter) {
                let mut buffer = [0; 4];
                for byte in letter.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(self.canonical, "%{byte:02X}");
                }
            } else {
                self.canonical.push(letter);
            }
        }
        self.ids.push((name, start..self.canonical.len()));
    }

    fn verbatim(&mut self, name: &'static str, text: &str) {
        let start = self.canonical.len();
        self.canonical.push_str(text);
        self.ids.push((name, start..self.canonical.len()));
    }

    fn slash(&mut self) {
        if !self.canonical.is_empty() {
            self.canonical.push('/');
        }
    }
}

/// Whatever a canonical id is written with.
const KEEP_CANONICAL: &[u8] = b"-._~@=:!,%+;&$*";

fn guid(text: &str) -> Option<Uuid> {
    // Only the form with hyphens: the others that the parser takes are no GUIDs in Graph's paths.
    (text.len() == 36).then(|| text.parse().ok()).flatten()
}

fn may_be_same_user(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || guid(one).is_some() != guid(other).is_some()
}
