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
    /// Which of all worlds it is.
    world: u64,
    model: String,
    is_virtual: bool,
}

struct Server {
    engine: Arc<Engine>,
    world: Weak<World>,
    server: SimulatedServer,
}

impl Server {
    /// Whether the world of this number is still there.
    fn is_of(&self, begun: u64) -> bool {
        let world = self.world.upgrade();
        world.is_some_and(|world| world.begun() == begun)
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

    /// The server of a model in a world that is built like this, made where there is none.
    pub(super) fn server(
        &self,
        world: &Arc<World>,
        model: &str,
        engine: &Arc<Engine>,
        is_virtual: bool,
    ) -> SimulatedServer {
        let place = Place {
            world: world.begun(),
            model: model.to_owned(),
            is_virtual,
        };
        let load = self.load(model);
        let mut servers = self.servers.lock();
        let mut alike = servers.get(&place).into_iter().flatten();
        if let Some(found) = alike.find(|server| server.engine == *engine) {
            return found.server.clone();
        }
        // Worlds come and go; whenever one has a new server, those of worlds that are gone go.
        servers.retain(|place, servers| {
            servers.retain(|server| server.is_of(place.world));
            !servers.is_empty()
        });
        let scheduler = Scheduler::new(Arc::clone(engine));
        let observer = load.observer(engine, is_virtual);
        let server = SimulatedServer::new(scheduler, is_virtual, observer);
        servers.entry(place).or_default().push(Server {
            engine: Arc::clone(engine),
            world: Arc::downgrade(world),
            server: server.clone(),
        });
        server
    }
}
