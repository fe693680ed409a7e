//! The simulated servers: one for each model in each world, so that tests that run at once do not
//! slow one another down.

use super::load::ModelLoad;
use crate::generation::SimulatedServer;
use belljar_testing::scheduler::{Engine, Scheduler};
use belljar_testing::world::World;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// All of them, and the load of each model.
#[derive(Default)]
pub(super) struct Servers {
    servers: Mutex<HashMap<Place, Vec<Server>>>,
    loads: Mutex<HashMap<String, Arc<ModelLoad>>>,
}

/// Whose a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// The name of the world; none for requests that are in none.
    world: Option<String>,
    model: String,
    is_virtual: bool,
}

struct Server {
    engine: Arc<Engine>,
    /// None for requests that are in no world.
    world: Option<Weak<World>>,
    server: SimulatedServer,
}

impl Server {
    /// Whether its world is still there.
    fn is_wanted(&self) -> bool {
        let world = self.world.as_ref();
        world.is_none_or(|world| world.strong_count() > 0)
    }
}

impl Servers {
    /// What is counted of a model. Its name is one that exists.
    pub(super) fn load(&self, model: &str) -> Arc<ModelLoad> {
        let mut loads = self.loads.lock();
        if let Some(load) = loads.get(model) {
            return Arc::clone(load);
        }
        let load = Arc::new(ModelLoad::of(model));
        loads.insert(model.to_owned(), Arc::clone(&load));
        load
    }

    /// The server of a model that is built like this, made where there is none.
    pub(super) fn server(
        &self,
        world: Option<&Arc<World>>,
        model: &str,
        engine: &Arc<Engine>,
        is_virtual: bool,
    ) -> SimulatedServer {
        let place = Place {
            world: world.map(|world| world.name().to_string()),
            model: model.to_owned(),
            is_virtual,
        };
        let load = self.load(model);
        let mut servers = self.servers.lock();
        let is_this = |server: &&Server| {
            let is_worlds = match (&server.world, world) {
                (Some(of), Some(world)) => std::ptr::eq(of.as_ptr(), Arc::as_ptr(world)),
                (of, world) => of.is_none() && world.is_none(),
            };
            is_worlds && server.engine == *engine
        };
        if let Some(found) = servers.get(&place).into_iter().flatten().find(is_this) {
            return found.server.clone();
        }
        // Worlds come and go; whenever one has a new server, those of worlds that are gone go.
        servers.retain(|_, servers| {
            servers.retain(Server::is_wanted);
            !servers.is_empty()
        });
        let scheduler = Scheduler::new(Arc::clone(engine));
        let observer = load.observer(engine, is_virtual);
        let server = SimulatedServer::new(scheduler, is_virtual, observer);
        servers.entry(place).or_default().push(Server {
            engine: Arc::clone(engine),
            world: world.map(Arc::downgrade),
            server: server.clone(),
        });
        server
    }
}
