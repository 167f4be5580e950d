//! Service types with their Rust type forgotten: what an agent provides, and what it tells the cluster of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::report::TypeDeclaration;
use mainstay_protocol::work::Serves;
use mainstay_protocol::{BadName, SlotName, TypeName};
use schemars::SchemaGenerator;
use thiserror::Error;

use crate::breaks::Breaks;
use crate::hosting::launch::{self, Starter};
use crate::message_list::{MessageError, MessageList};
use crate::processor::Activities;
use crate::service::Service;
use crate::type_info::{Holds, TypeInfo};

/// Why an agent cannot provide the types it was given. Said at start-up, before anything runs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TypesClash {
    #[error("the service type {name} {version} declares a name that cannot be one: {cause}")]
    BadName {
        name: &'static str,
        version: &'static str,
        cause: BadName,
    },
    #[error("the service type {name} {version} says wrongly which activities it does: {cause}")]
    BadActivities {
        name: &'static str,
        version: &'static str,
        cause: String,
    },
    #[error(
        "two service types are named {name}: versions {first} and {second}; an agent provides one version of a type"
    )]
    TwoVersions {
        name: TypeName,
        first: String,
        second: String,
    },
    #[error(
        "the service type {name} {version} is declared twice with different {what}; give one of them another name or version"
    )]
    TwoSchemas {
        name: TypeName,
        version: String,
        what: &'static str,
    },
    #[error(
        "the service types {first} and {second} have the same configuration, and say that they may use different resources ({} and {}); types that share a configuration share what they may use: let them say the same, or give one a configuration of its own",
        or_none(&may_use[0]), or_none(&may_use[1])
    )]
    SharedSchema {
        first: TypeName,
        second: TypeName,
        /// Of the first, of the second.
        may_use: [String; 2],
    },
    #[error("the service type {name} {version} is registered twice")]
    Twice { name: TypeName, version: String },
}

fn or_none(kinds: &str) -> &str {
    match kinds {
        "" => "none",
        kinds => kinds,
    }
}

/// One service type, ready to be hosted.
#[derive(Clone)]
pub struct Declared {
    declaration: TypeDeclaration,
    blocking: bool,
    outside: bool,
    keeps_log: bool,
    may_use: &'static [&'static str],
    factory: Arc<dyn Factory>,
    activities: Activities,
}

/// What is done with a type by its name alone.
pub(crate) trait Factory: Send + Sync {
    fn decode(&self, name: &str, body: &str) -> Result<Box<dyn Any + Send>, MessageError>;
    /// The configuration, and how it is told when it is in use; or what is wrong with it.
    fn decode_config(&self, config: &str) -> Result<(Box<dyn Any + Send>, String), String>;
    fn starter(&self) -> Starter;
}

struct Of<S: Service> {
    messages: MessageList,
    service: PhantomData<fn() -> S>,
}

impl<S: Service> Factory for Of<S> {
    fn decode(&self, name: &str, body: &str) -> Result<Box<dyn Any + Send>, MessageError> {
        let message: S::Message = self.messages.decode(name, body)?;
        Ok(Box::new(message))
    }

    fn decode_config(&self, config: &str) -> Result<(Box<dyn Any + Send>, String), String> {
        let (config, in_use) = launch::decode_config::<S>(config)?;
        Ok((Box::new(config), in_use))
    }

    fn starter(&self) -> Starter {
        launch::starter::<S>()
    }
}

impl Declared {
    pub fn of<S: Service>() -> Result<Self, TypesClash> {
        let messages = MessageList::of::<S::Message>();
        let info = S::TYPE;
        let config = SchemaGenerator::default().into_root_schema_for::<S::Config>();
        let activities = S::activities();
        let serves = activities
            .serves()
            .map_err(|cause| TypesClash::BadActivities {
                name: info.name,
                version: info.version,
                cause,
            })?;
        let mut declaration =
            declare(&info, config.to_value().to_string(), &messages).map_err(|cause| {
                TypesClash::BadName {
                    name: info.name,
                    version: info.version,
                    cause,
                }
            })?;
        declaration.serves = serves;
        Ok(Self {
            activities,
            declaration,
            blocking: info.blocking,
            outside: info.outside,
            keeps_log: info.keeps_log,
            may_use: info.may_use,
            factory: Arc::new(Of::<S> {
                messages,
                service: PhantomData,
            }),
        })
    }

    pub fn declaration(&self) -> &TypeDeclaration {
        &self.declaration
    }

    pub(crate) fn blocking(&self) -> bool {
        self.blocking
    }

    /// Whether what it stands for may outlive the agent.
    pub fn is_outside(&self) -> bool {
        self.outside
    }

    /// Whether what it stands for writes the log in its slot.
    pub fn keeps_log(&self) -> bool {
        self.keeps_log
    }

    pub(crate) fn may_use(&self) -> &'static [&'static str] {
        self.may_use
    }

    pub(crate) fn activities(&self) -> &Activities {
        &self.activities
    }

    /// Its calls can be broken off, and it may do other activities than its type does.
    pub(crate) fn in_a_trial(mut self, others: Option<Activities>, breaks: &Arc<Breaks>) -> Self {
        let activities = others.unwrap_or(self.activities);
        self.activities = activities.broken_off_by(breaks);
        self
    }

    pub(crate) fn factory(&self) -> &Arc<dyn Factory> {
        &self.factory
    }
}

impl fmt::Debug for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.declaration.fmt(f)
    }
}

fn declare(
    info: &TypeInfo,
    schema: String,
    messages: &MessageList,
) -> Result<TypeDeclaration, BadName> {
    let name = TypeName::new(info.name)?;
    let holds = match info.holds {
        Holds::TypeName => Some(SlotName::new(info.name)?),
        Holds::Fixed(name) => Some(SlotName::new(name)?),
        Holds::Placement => None,
    };
    Ok(TypeDeclaration {
        name,
        version: info.version.to_owned(),
        holds,
        schema,
        messages: messages.declarations(),
        restart: info.restart,
        start_deadline_ms: milliseconds(info.start_deadline),
        stop_deadline_ms: milliseconds(info.stop_deadline),
        may_use: info.may_use.iter().map(|kind| (*kind).to_owned()).collect(),
        in_place: info.in_place,
        keeps_lease: info.keeps_lease,
        serves: Serves::default(),
    })
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The types that one agent provides, by name.
#[derive(Debug, Clone, Default)]
pub struct TypeSet {
    types: BTreeMap<TypeName, Declared>,
}

impl TypeSet {
    pub fn add<S: Service>(&mut self) -> Result<(), TypesClash> {
        self.add_declared(Declared::of::<S>()?)
    }

    pub fn add_declared(&mut self, added: Declared) -> Result<(), TypesClash> {
        let new = added.declaration();
        if let Some(there) = self.types.get(&new.name) {
            return Err(clash(there.declaration(), new));
        }
        if let Some(differs) = self.shares_but_differs(new) {
            return Err(TypesClash::SharedSchema {
                first: differs.name.clone(),
                second: new.name.clone(),
                may_use: [differs.may_use.join(", "), new.may_use.join(", ")],
            });
        }
        self.types.insert(new.name.clone(), added);
        Ok(())
    }

    /// One that has the same configuration, of which something can be set, and may use other resources.
    fn shares_but_differs(&self, new: &TypeDeclaration) -> Option<&TypeDeclaration> {
        self.types
            .values()
            .map(Declared::declaration)
            .find(|there| {
                there.schema == new.schema
                    && there.schema.contains("\"properties\"")
                    && there.may_use != new.may_use
            })
    }

    pub fn get(&self, name: &TypeName) -> Option<&Declared> {
        self.types.get(name)
    }

    pub fn declarations(&self) -> Vec<TypeDeclaration> {
        self.types
            .values()
            .map(|t| t.declaration().clone())
            .collect()
    }
}

fn clash(there: &TypeDeclaration, new: &TypeDeclaration) -> TypesClash {
    let name = new.name.clone();
    if there.version != new.version {
        return TypesClash::TwoVersions {
            name,
            first: there.version.clone(),
            second: new.version.clone(),
        };
    }
    let version = new.version.clone();
    let what = if there.schema != new.schema {
        "configurations"
    } else if there.messages != new.messages {
        "messages"
    } else {
        return TypesClash::Twice { name, version };
    };
    TypesClash::TwoSchemas {
        name,
        version,
        what,
    }
}
