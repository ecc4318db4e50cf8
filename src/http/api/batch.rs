//! `POST /api/<noun>/batch`: many at once, all or nothing.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AllOfBuilder, ArrayBuilder, ObjectBuilder, Ref, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::{Error, Result};
use crate::http::extract::{Labels, read_kept};

/// Items of one batch at most.
pub const ITEMS_MAX: usize = 500;

/// What shall be made, changed and removed, in this order.
#[derive(Deserialize)]
#[serde(bound(deserialize = "C: Deserialize<'de>, U: Deserialize<'de>, I: Deserialize<'de>"))]
pub struct BatchBody<C, U, I> {
    #[serde(default = "Vec::new")]
    create: Vec<C>,
    #[serde(default = "Vec::new")]
    update: Vec<U>,
    #[serde(default = "Vec::new")]
    delete: Vec<I>,
}

/// What was done, in the order of the request.
#[derive(Serialize)]
pub struct BatchView<V, I> {
    created: Vec<V>,
    updated: Vec<V>,
    deleted: Vec<I>,
}

impl<C, U, I: Copy> BatchBody<C, U, I> {
    /// Does all of it with these three; the first item that fails names itself in the error.
    pub fn carry_out<V>(
        self,
        create: impl Fn(C) -> Result<V>,
        update: impl Fn(U) -> Result<V>,
        delete: impl Fn(I) -> Result<()>,
    ) -> Result<BatchView<V, I>> {
        let items = self.create.len() + self.update.len() + self.delete.len();
        if items > ITEMS_MAX {
            return Err(Error::invalid("", format!("一次最多{ITEMS_MAX}条，收到{items}条")));
        }
        Ok(BatchView {
            created: each("create", self.create, create)?,
            updated: each("update", self.update, update)?,
            deleted: each("delete", self.delete, |id| delete(id).map(|()| id))?,
        })
    }
}

fn each<T, V>(list: &str, items: Vec<T>, work: impl Fn(T) -> Result<V>) -> Result<Vec<V>> {
    let named = |(index, item)| {
        work(item).map_err(|cause| Error::Item { item: format!("{list}[{index}]"), cause: Box::new(cause) })
    };
    items.into_iter().enumerate().map(named).collect()
}

/// A change and the id of what it changes, in one object.
pub struct Identified<I, P> {
    /// Which row.
    pub id: I,
    /// What changes.
    pub change: P,
}

impl<'de, I: for<'a> Deserialize<'a>, P: for<'a> Deserialize<'a>> Deserialize<'de> for Identified<I, P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Id<I> {
            id: I,
        }

        // Not `serde(flatten)`: it reads amounts as floats.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let Id { id } = read_kept(&raw).map_err(D::Error::custom)?;
        Ok(Self { id, change: read_kept(&raw).map_err(D::Error::custom)? })
    }
}

impl<C: Labels, U, I> Labels for BatchBody<C, U, I> {
    const LABELS: &'static [(&'static str, &'static str)] = C::LABELS;
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

fn collect<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

impl<I: ToSchema, P: ToSchema> PartialSchema for Identified<I, P> {
    fn schema() -> RefOr<Schema> {
        let id = ObjectBuilder::new().property("id", reference::<I>()).required("id");
        AllOfBuilder::new().item(id).item(reference::<P>()).into()
    }
}

impl<I: ToSchema, P: ToSchema> ToSchema for Identified<I, P> {
    fn name() -> Cow<'static, str> {
        format!("Identified{}", P::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        collect::<I>(schemas);
        collect::<P>(schemas);
    }
}

impl<C: ToSchema, U: ToSchema, I: ToSchema> PartialSchema for BatchBody<C, U, I> {
    fn schema() -> RefOr<Schema> {
        let list = |items: Ref| ArrayBuilder::new().items(items).max_items(Some(ITEMS_MAX));
        ObjectBuilder::new()
            .property("create", list(reference::<C>()))
            .property("update", list(reference::<U>()))
            .property("delete", list(reference::<I>()))
            .description(Some("At most 500 items in all; all of them are done or none."))
            .into()
    }
}

impl<C: ToSchema, U: ToSchema, I: ToSchema> ToSchema for BatchBody<C, U, I> {
    fn name() -> Cow<'static, str> {
        format!("BatchOf{}", C::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        collect::<C>(schemas);
        collect::<U>(schemas);
        collect::<I>(schemas);
    }
}

impl<V: ToSchema, I: ToSchema> PartialSchema for BatchView<V, I> {
    fn schema() -> RefOr<Schema> {
        let list = |items: Ref| ArrayBuilder::new().items(items);
        ObjectBuilder::new()
            .property("created", list(reference::<V>()))
            .property("updated", list(reference::<V>()))
            .property("deleted", list(reference::<I>()))
            .required("created")
            .required("updated")
            .required("deleted")
            .into()
    }
}

impl<V: ToSchema, I: ToSchema> ToSchema for BatchView<V, I> {
    fn name() -> Cow<'static, str> {
        format!("BatchOf{}", V::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        collect::<V>(schemas);
        collect::<I>(schemas);
    }
}
