//! Commands about the session they are said in, and about who says them.

use std::fmt::Write as _;

use hatchery_access::{Admin, Read, authorize};
use hatchery_protocol::WireError;
use hatchery_spawn::check_model;
use hatchery_store::Page;
use serde_json::{Value, json};

use super::Said;
use crate::methods::conversations;
use crate::methods::sessions::reading;

impl Said<'_> {
    pub(super) fn whoami(&self) -> String {
        let caller = self.permit.caller();
        let scopes: Vec<&str> = caller.scopes().map(|scope| scope.as_str()).collect();
        format!("You are: {}\nYou may: {}", caller.describe(), scopes.join(", "))
    }

    pub(super) async fn status(&self) -> Result<String, WireError> {
        let session = self.session.clone();
        let page = Page { limit: 1, offset: 0 };
        let total =
            reading(self.shared, move |store| store.transcript(&session, page)).await?.total;
        let live = self.shared.supervisor.live_in(&self.session.session_id);
        let mut text = format!(
            "Session: {} ({})\nAgent: {}\nModel: {}\nMessages: {total}\n",
            self.session.key,
            self.session.transcript_id(),
            self.session.agent_id,
            self.model_in_use(),
        );
        let at_work = match live.len() {
            0 => "nothing".to_owned(),
            1 => "one answer".to_owned(),
            more => format!("one answer, and {} messages wait", more - 1),
        };
        // Writing to a text cannot fail.
        if writeln!(text, "At work: {at_work}").is_err() {
            return Ok(text);
        }
        let usage = self.session.run.as_ref().and_then(|run| run.outcome.as_ref()?.usage);
        if let Some(usage) = usage {
            text += &format!(
                "Tokens of the last answer: {} read, {} written\n",
                usage.input_tokens, usage.output_tokens
            );
        }
        Ok(text.trim_end().to_owned())
    }

    pub(super) fn agents(&self) -> Result<String, WireError> {
        authorize::<Read>(self.permit.caller())?;
        let policy = self.shared.supervisor.settings.policy();
        let lines: Vec<String> = policy
            .agents
            .iter()
            .map(|(id, agent)| match &agent.harness {
                Some(command) => format!("{id}: {}", command.join(" ")),
                None => format!("{id}: {}", agent.model),
            })
            .collect();
        Ok(lines.join("\n"))
    }

    pub(super) async fn stop(&self) -> Result<String, WireError> {
        let supervisor = &self.shared.supervisor;
        let stopped = supervisor.hush(self.permit, &self.session.session_id, None).await?;
        Ok(match stopped.len() {
            0 => "There was nothing to stop.".to_owned(),
            1 => "Stopped.".to_owned(),
            count => format!("Stopped, and {} messages that waited are not answered.", count - 1),
        })
    }

    /// Needs what `sessions.reset` needs.
    pub(super) async fn begin_anew(&self, model: Option<&str>) -> Result<String, WireError> {
        authorize::<Admin>(self.permit.caller())?;
        if let Some(model) = model {
            self.set_model(model).await?;
        }
        conversations::begin_anew(self.shared, self.permit, self.session).await?;
        Ok("This session begins anew. What was said before is kept aside.".to_owned())
    }

    pub(super) fn model(&self) -> String {
        format!("The model of this session is {}.", self.model_in_use())
    }

    /// Needs what `sessions.patch` needs.
    pub(super) async fn set_model(&self, model: &str) -> Result<String, WireError> {
        let permit = authorize::<Admin>(self.permit.caller())?;
        let value = match model {
            "default" => Value::Null,
            model => {
                let policy = self.shared.supervisor.settings.policy();
                check_model(&policy, permit.caller(), model)
                    .map_err(hatchery_access::Refusal::from)?;
                json!(model)
            }
        };
        let settings = [("model".to_owned(), value)].into_iter().collect();
        conversations::set(self.shared, &self.session.session_id, settings).await?;
        Ok(match model {
            "default" => "This session uses the model of its agent.".to_owned(),
            model => format!("The model of this session is {model} from now on."),
        })
    }

    fn model_in_use(&self) -> String {
        let set = self.session.settings.get("model").and_then(Value::as_str);
        let policy = self.shared.supervisor.settings.policy();
        let own = policy.agents.get(&self.session.agent_id).map(|agent| agent.model.as_str());
        set.or(own).unwrap_or("none").to_owned()
    }
}
