//! Idempotency keys: their digest stays with what they made, in Drive, so that they hold over a restart.
//!
//! Drive's search may lag behind by seconds, so this process also remembers what it made itself.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcp_kit::{Call, ToolError};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::{
    drive::{Drive, files},
    files::{DriveFile, FIELDS},
};

/// `appProperties` of what we make; nobody but our OAuth client sees them.
const KEY: &str = "eventPlannerKey";
const REQUEST: &str = "eventPlannerRequest";
const REMEMBERED: usize = 1000;

/// What was made lately, and who is making what.
#[derive(Default)]
pub(crate) struct Keys {
    made: Mutex<VecDeque<(String, String)>>,
    making: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A key in use: other calls with it wait.
pub(crate) struct Mark {
    key: String,
    request: String,
    _alone: OwnedMutexGuard<()>,
}

#[derive(Deserialize)]
struct Found {
    files: Vec<DriveFile>,
}

impl Mark {
    /// What is stored with the file.
    pub(crate) fn properties(&self) -> Value {
        json!({ KEY: self.key, REQUEST: self.request })
    }
}

impl Drive {
    /// Takes the key for this request. Without one, a random one stands for it, by which this call finds again what it
    /// may have made.
    pub(crate) async fn mark(
        &self,
        call: &Call,
        tool: &str,
        key: Option<&str>,
        request: &Value,
    ) -> Result<Mark, ToolError> {
        let account = call.account.as_ref().map(|account| &*account.id);
        let key = match key {
            Some(key) => digest(&json!([account, call.organization(), tool, key])),
            None => random()?,
        };
        let lock = {
            let mut making = lock(&self.keys().making);
            making.retain(|_, waiting| Arc::strong_count(waiting) > 1);
            Arc::clone(making.entry(key.clone()).or_default())
        };
        Ok(Mark {
            key,
            request: digest(request),
            _alone: lock.lock_owned().await,
        })
    }

    /// What this key has made already.
    ///
    /// # Errors
    /// REFUSED if it was for another request.
    pub(crate) async fn made(
        &self,
        call: &Call,
        mark: &Mark,
    ) -> Result<Option<DriveFile>, ToolError> {
        let remembered = lock(&self.keys().made)
            .iter()
            .find(|(key, _)| *key == mark.key)
            .cloned();
        let found = match remembered {
            Some((_, id)) => Some(self.look(call, &id).await?),
            None => self.find_made(call, &mark.key).await?,
        };
        if found
            .as_ref()
            .is_some_and(|file| file.app_properties.get(REQUEST) != Some(&mark.request))
        {
            return Err(reused());
        }
        Ok(found)
    }

    async fn find_made(&self, call: &Call, key: &str) -> Result<Option<DriveFile>, ToolError> {
        let request = files(Method::GET, &[])
            .query(
                "q",
                format!("appProperties has {{ key='{KEY}' and value='{key}' }}"),
            )
            .query("includeItemsFromAllDrives", "true")
            .query("orderBy", "createdTime")
            .query("pageSize", "1")
            .query("fields", format!("files({FIELDS})"));
        let found: Found = self.google().send(call, request).await?.json()?;
        Ok(found.files.into_iter().next())
    }

    /// Remembers what the key made.
    pub(crate) fn remember(&self, mark: &Mark, file: &DriveFile) {
        let mut made = lock(&self.keys().made);
        made.push_back((mark.key.clone(), file.id.clone()));
        if made.len() > REMEMBERED {
            made.pop_front();
        }
    }
}

/// The key stands for something else already.
pub(crate) fn reused() -> ToolError {
    ToolError::refused(
        "this idempotency_key was used for another request: use a new key for each new thing",
    )
}

/// The first 128 bits of SHA-256, in hex.
fn digest(value: &Value) -> String {
    hex::encode(&Sha256::digest(value.to_string().as_bytes())[..16])
}

fn random() -> Result<String, ToolError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ToolError::internal(anyhow::anyhow!("{error}")))?;
    Ok(hex::encode(bytes))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
