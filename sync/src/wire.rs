//! What the two sides say to each other besides batches. All of it is JSON.

use serde::{Deserialize, Serialize};

use crate::capture::Layout;
use crate::chain::Mark;

/// The first word of a box after each start, after each refusal, and after each change of its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The epoch that the box was given.
    pub epoch: String,
    /// The random word of the box's last start.
    pub boot: String,
    /// The box's program version.
    pub version: String,
    /// The layouts of every schema version that its changes may have.
    pub layouts: Vec<Layout>,
    /// Where the box believes the center to be.
    pub at: Mark,
    /// The box's newest change.
    pub tip: i64,
}

/// What the center says to a hello and to a batch. There are no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The center is at this place, with everything up to it on its disk.
    Applied(Mark),
    /// The same, and it was there before.
    AlreadyApplied(Mark),
    /// The center is at this place, which is another than the box believes: go on from it if it is in your chain, and say so
    /// with a hello if it is not.
    Rewind(Mark),
    /// The center takes nothing of this box: its history is not the one that the center has, or another box took its place.
    Fenced {
        /// Why, for a person.
        reason: String,
    },
}

/// Asks for digests of stretches of one table of the mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestRequest {
    /// The schema version whose layout the keys and images follow.
    pub schema: i64,
    /// The table.
    pub table: String,
    /// The stretches.
    pub stretches: Vec<Stretch>,
}

/// The rows of a table after one key and up to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The key before the first row; none for the table's beginning.
    pub after: Option<Vec<serde_json::Value>>,
    /// The key of the last row; none for the table's end.
    pub until: Option<Vec<serde_json::Value>>,
}

/// What the rows of a stretch come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    /// The hash over all of them, in key order.
    pub hash: String,
}

/// The digests of the stretches that were asked for, all of one consistent view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestAnswer {
    /// Where the center was in the site's chain.
    pub seq: i64,
    /// One digest for each stretch.
    pub digests: Vec<Digest>,
}

/// Asks for a page of rows of one table of the mirror, in key order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsRequest {
    /// The schema version whose layout keys and images follow.
    pub schema: i64,
    /// The table.
    pub table: String,
    /// Which rows.
    pub stretch: Stretch,
    /// Rows at most; the center may give fewer, but gives one if there is one.
    pub limit: u32,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowsAnswer {
    /// Where the center was in the site's chain.
    pub seq: i64,
    /// The rows: each the values of its columns, in the layout's order.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Whether more follow.
    pub more: bool,
}

/// A row that a repair found to differ, as it is on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The row's key, a JSON array.
    pub pk: String,
    /// The row at the center, a JSON array; none when it has none.
    pub center_image: Option<String>,
    /// The row on the site, a JSON array; none when it has none.
    pub site_image: Option<String>,
}

/// Trades a one-time code for a place as a site.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The code.
    pub code: String,
    /// The credential that the box made for itself, 64 hexadecimal digits.
    pub credential: String,
    /// The zone that its books are kept in, an IANA name.
    pub time_zone: String,
    /// Its keys, the text of its key file without the key of its tokens: the center keeps them sealed for a box that has to be
    /// rebuilt.
    pub keys: String,
    /// Tells its keys from others': a hash of the key of its blind indexes.
    pub keys_id: String,
    /// The key of its own tokens, base64.
    pub token_key: String,
    /// The layouts of its changes.
    pub layouts: Vec<Layout>,
    /// Its newest change.
    pub tip: Mark,
    /// Whether its outbox has every change from the first on.
    pub complete: bool,
}

/// What a box gets for its code.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolAnswer {
    /// The site that it is from now on.
    pub site_id: i64,
    /// The site's name.
    pub name: String,
    /// The epoch.
    pub epoch: String,
    /// The place that the center is at.
    pub base: Mark,
    /// Whether the mirror has to be made equal by a repair.
    pub loading: bool,
    /// The key of the tokens that the relay issues for this site, base64.
    pub relay_key: String,
}

/// Trades a one-time code for the place of a box that is gone.
#[derive(Clone, Serialize, Deserialize)]
pub struct TakeOverRequest {
    /// The code.
    pub code: String,
    /// The credential that the new box made for itself, 64 hexadecimal digits.
    pub credential: String,
}

/// What a new box gets to become the old one.
#[derive(Clone, Serialize, Deserialize)]
pub struct TakeOverAnswer {
    /// What an enrolment gives.
    pub enrolled: EnrolAnswer,
    /// The zone that the books are kept in.
    pub time_zone: String,
    /// The text of the old box's key file, without the key of its tokens.
    pub keys: String,
    /// The newest layout of the site's tables.
    pub layout: Layout,
    /// Changes that the old box told of and that never came.
    pub lost: i64,
    /// When the old box was heard of last, milliseconds since the Unix epoch.
    pub seen_at: Option<i64>,
}

/// Asks for mail. The center holds it for a while when there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollRequest {
    /// The epoch of the box.
    pub epoch: String,
    /// The random word of its last start.
    pub boot: String,
    /// The word that the last answer asked to repeat.
    pub echo: Option<String>,
    /// The box's newest change.
    pub tip: i64,
    /// The newest change that the center has confirmed to it since it started; 0 before that.
    pub confirmed: i64,
    /// Messages that it has and has not answered yet: they are not given again.
    pub running: Vec<String>,
    /// How long the poll may be held, in milliseconds.
    pub hold_ms: u64,
}

/// What a poll brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum PollAnswer {
    /// Messages in the order in which they are to be carried out; none when the time was over.
    Mail {
        /// The messages.
        messages: Vec<Message>,
    },
    /// Another start of the site's program wants the place: repeat this word at once to show that this one lives.
    Challenged {
        /// The word.
        word: String,
    },
    /// This box does not hold the site's place: it has to say hello first.
    HelloFirst,
    /// The center takes nothing of this box.
    Fenced {
        /// Why, for a person.
        reason: String,
    },
}

/// For whom a message is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OnBehalf {
    /// The relay itself.
    Relay,
    /// A user of the site.
    User {
        /// The user.
        user_id: i64,
    },
    /// Somebody at headquarters.
    Headquarters {
        /// The name, for the audit trail.
        name: String,
        /// Whether changes are allowed.
        write: bool,
    },
}

/// A message: an HTTP request for the site's own router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its identity; what is done for it is done once.
    pub id: String,
    /// Its place in the site's order.
    pub no: i64,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// The JSON body.
    pub body: Option<String>,
    /// For whom.
    pub on_behalf: OnBehalf,
    /// When the relay received it, milliseconds since the Unix epoch.
    pub received_at: i64,
    /// The id that the relay has given to what it makes.
    pub assigned_id: Option<i64>,
    /// Whether the sender was told that it will be done later: then a refusal goes back as a notification.
    pub queued: bool,
    /// Whether its time was over before it could be delivered: it is not carried out.
    pub expired: bool,
}

/// Answers to messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replies {
    /// The answers.
    pub replies: Vec<Reply>,
}

/// The answer to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The message.
    pub id: String,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}
