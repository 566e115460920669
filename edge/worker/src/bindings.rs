//! The Worker's variables, secrets and bindings, read from the platform's `env` object.

use crate::config::{Bindings, Config};
use std::cell::OnceCell;
use std::rc::Rc;
use worker::js_sys::{JSON, Reflect};
use worker::wasm_bindgen::JsValue;
use worker::{Env, console_error};

/// The settings. They are read once per isolate, since they change only with a new deployment.
pub(crate) fn config(env: &Env) -> Rc<Config> {
    thread_local! {
        static CONFIG: OnceCell<Rc<Config>> = const { OnceCell::new() };
    }
    let read = || {
        let (mut config, warnings) = Config::read(|name| variable(env, name));
        config.bindings = Bindings::find(|name| {
            Reflect::get(env.as_ref(), &JsValue::from_str(name)).is_ok_and(|binding| binding.is_object())
        });
        for warning in warnings {
            console_error!("{warning}");
        }
        Rc::new(config)
    };
    CONFIG.with(|config| Rc::clone(config.get_or_init(read)))
}

/// A variable or secret as text. Numbers and lists in wrangler.toml arrive as JSON values.
fn variable(env: &Env, name: &str) -> Option<String> {
    let value = Reflect::get(env.as_ref(), &JsValue::from_str(name)).ok()?;
    if value.is_undefined() || value.is_null() {
        return None;
    }
    value.as_string().or_else(|| JSON::stringify(&value).ok()?.as_string())
}
