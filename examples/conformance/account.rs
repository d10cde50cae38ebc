//! The credit that the peer of a script has given, and what the subject makes of it.  SPEC §11

use std::collections::BTreeMap;

use serde_json::Value;

use crate::messages::{encode, kind, number};

/// What the peer has given, and the subject has spent.  CRD-2
pub struct Account {
    window: u64,
    limits: BTreeMap<u64, u64>,
    spent: BTreeMap<u64, u64>,
}

impl Account {
    pub fn of(setup: &Value) -> Self {
        let window = setup["peer"]["window"].as_u64().unwrap_or(u64::MAX);
        Self { window, limits: BTreeMap::new(), spent: BTreeMap::new() }
    }

    pub fn granted_by(&mut self, messages: &[Value]) {
        for message in messages {
            if [kind::CREDIT, kind::SUBSCRIBE].iter().any(|kind| message[0] == *kind) {
                let limit = self.limits.entry(number(&message[1])).or_insert(0);
                *limit = number(&message[2]).max(*limit);
            }
        }
    }

    pub fn spent_by(&mut self, message: &Value) -> Result<(), String> {
        if ![kind::DATA, kind::PUBLICATION, kind::CONTINUATION].iter().any(|kind| message[0] == *kind) {
            return Ok(());
        }
        let id = number(&message[1]);
        let begins = if message[0] == kind::DATA { self.window } else { 0 };
        let limit = self.limits.get(&id).copied().unwrap_or(0).max(begins);
        let spent = self.spent.entry(id).or_default();
        *spent += encode(std::slice::from_ref(message))?.len() as u64;
        if *spent > limit { Err(format!("it has spent {spent} of a credit of {limit}")) } else { Ok(()) }
    }
}
