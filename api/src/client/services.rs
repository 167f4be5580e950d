//! Services and orders, as calls.

use super::Client;
use crate::problem::Problem;
use crate::routes::{self, query};
use crate::types::{Accepted, Exact, Order, OrderDetail, OrderRequest, Service};

/// Which orders; all, where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// The id of their service.
    pub service: Option<String>,
    pub status: Option<String>,
}

impl Client {
    pub async fn services(&self) -> Result<Vec<Service>, Problem> {
        self.list(routes::SERVICES.path).await
    }

    pub async fn service(&self, id: &str) -> Result<Service, Problem> {
        self.get(&routes::SERVICE.fill(&[id])).await
    }

    pub async fn put_service(&self, id: &str, description: &Exact) -> Result<Accepted, Problem> {
        self.put(routes::SERVICE_PUT, id, description).await
    }

    pub async fn delete_service(&self, id: &str) -> Result<Accepted, Problem> {
        self.delete(&routes::SERVICE_DELETE.fill(&[id])).await
    }

    pub async fn orders(&self, filter: &OrderFilter) -> Result<Vec<Order>, Problem> {
        let pairs = [("type", &filter.service), ("state", &filter.status)];
        let said = pairs.iter();
        let said: Vec<(&str, &str)> = said
            .filter_map(|(key, value)| Some((*key, value.as_deref()?)))
            .collect();
        self.list(&format!("{}{}", routes::ORDERS.path, query(&said)))
            .await
    }

    pub async fn order(&self, id: &str) -> Result<OrderDetail, Problem> {
        self.get(&routes::ORDER.fill(&[id])).await
    }

    pub async fn place_order(&self, request: &OrderRequest) -> Result<Accepted, Problem> {
        self.post(routes::ORDER_PLACE.path, request).await
    }
}
