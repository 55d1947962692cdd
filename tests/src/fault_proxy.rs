//! A proxy before a service of AWS that does what a network and a busy service do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::{Client, Failure, Protocol, Request, Response};

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is not passed on, and its connection ends.
    HangUp,
    /// It is answered with an error of DynamoDB, and not passed on.
    Refuse(u16, &'static str),
    /// It is passed on this much later.
    Delay(Duration),
    /// It is passed on, and its answer thrown away with the connection.
    LoseAnswer,
    /// Half of it is passed on, and then the connection ends.
    CutShort,
    /// A transaction that is answered with its cancellation for this reason, and not passed on.
    Cancel(&'static str),
    /// The same, but it was carried out before by a call whose answer nobody heard.
    CarryOutAndCancel(&'static str),
    /// A batch of reads of which nothing is read: all is to be asked for again.
    ReadNothing,
}

/// A proxy on the loopback interface, until it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    requests: Vec<(String, String)>,
}

#[derive(Debug)]
struct Rule {
    operation: &'static str,
    times_left: usize,
    fault: Fault,
}

impl FaultProxy {
    /// A proxy before `target` that does nothing of its own yet.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(target: SocketAddr) -> Result<Self, Failure> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let shared = Arc::new(Shared { target, state: Mutex::default() });
        let mut proxy = Self { address: any, shared, task: None };
        proxy.accept().await?;
        Ok(proxy)
    }

    /// What to take for the service's endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this to the next `times` requests of an operation, such as `PutItem`, or of any for
    /// `""`, once the earlier faults of these are used up.
    pub fn fail(&self, operation: &'static str, times: usize, fault: Fault) {
        self.shared.state().rules.push(Rule { operation, times_left: times, fault });
    }

    /// Passes everything on from now on.
    pub fn mend(&self) {
        self.shared.state().rules.clear();
    }

    /// The same, and forgets what it has seen.
    pub fn pass(&self) {
        *self.shared.state() = State::default();
    }

    /// How many requests of an operation have come.
    #[must_use]
    pub fn requests(&self, operation: &str) -> usize {
        self.shared.state().requests.iter().filter(|(name, _)| name == operation).count()
    }

    /// The operations that were asked for, in order, with what each request said.
    #[must_use]
    pub fn seen(&self) -> Vec<(String, Value)> {
        let parsed = |(operation, body): &(String, String)| {
            (operation.clone(), serde_json::from_str(body).unwrap_or_default())
        };
        self.shared.state().requests.iter().map(parsed).collect()
    }

    /// Ends all connections and listens no more.
    pub async fn refuse_connections(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // It ends by being aborted; what it held is closed then.
            let _ = task.await;
        }
    }

    /// Whether nobody listens.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.task.is_none()
    }

    /// Listens again.
    ///
    /// # Errors
    /// When its port was taken meanwhile.
    pub async fn accept(&mut self) -> Result<(), Failure> {
        let failed = || Failure::while_doing("the proxy cannot listen");
        let listener = TcpListener::bind(self.address).await.map_err(failed())?;
        self.address = listener.local_addr().map_err(failed())?;
        self.task = Some(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to happen to a request, which is remembered.
    fn next_fault(&self, request: &Request) -> Option<Fault> {
        let (mut state, operation) = (self.state(), operation(request));
        state.requests.push((operation.to_owned(), request.body.clone()));
        let is_meant = |rule: &&mut Rule| {
            rule.times_left > 0 && (rule.operation.is_empty() || rule.operation == operation)
        };
        let rule = state.rules.iter_mut().find(is_meant)?;
        rule.times_left -= 1;
        Some(rule.fault.clone())
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<hyper::Response<Full<Bytes>>, Failure> {
        let request = read(request).await?;
        let fault = self.next_fault(&request);
        match fault {
            Some(Fault::HangUp) => return Err(Failure::new("hung up")),
            Some(Fault::Refuse(status, code)) => return refusal(status, code),
            Some(Fault::Cancel(reason)) => return cancellation(reason),
            Some(Fault::ReadNothing) => return nothing_read(&request),
            Some(Fault::CutShort) => {
                self.pass_half(&request).await?;
                return Err(Failure::new("cut short"));
            }
            Some(Fault::Delay(time)) => sleep(time).await,
            Some(Fault::LoseAnswer | Fault::CarryOutAndCancel(_)) | None => {}
        }
        let answer = Client::new(Protocol::Http1, self.target).send(request).await?;
        match fault {
            Some(Fault::LoseAnswer) => Err(Failure::new("answer lost")),
            Some(Fault::CarryOutAndCancel(reason)) => cancellation(reason),
            _ => Ok(passed_on(answer)),
        }
    }

    async fn pass_half(&self, request: &Request) -> Result<(), Failure> {
        let failed = || Failure::while_doing("passing on");
        let header = |(name, value): &(String, Vec<u8>)| {
            format!("{name}: {}\r\n", String::from_utf8_lossy(value))
        };
        let headers: String = request.headers.iter().map(header).collect();
        let length = request.body.len();
        let head = format!("POST {} HTTP/1.1\r\n{headers}", request.target);
        let text = format!("{head}content-length: {length}\r\n\r\n{}", request.body);
        let half = text.len() - length / 2;
        let mut stream = TcpStream::connect(self.target).await.map_err(failed())?;
        stream.write_all(text.as_bytes().get(..half).unwrap_or_default()).await.map_err(failed())
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // An error ends the connection without an answer.
        let answer = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { shared.answer(request).await }
        });
        let server = http1::Builder::new();
        connections.spawn(server.serve_connection(TokioIo::new(stream), answer));
        while connections.try_join_next().is_some() {}
    }
}

pub(crate) async fn read(request: hyper::Request<Incoming>) -> Result<Request, Failure> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(Failure::while_doing("reading a request"))?;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let own = ["host", "content-length", "connection"];
    let headers = head.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    Ok(Request {
        method: head.method,
        headers: headers
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_owned()))
            .collect(),
        body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        ..Request::get(target)
    })
}

/// As in `x-amz-target: DynamoDB_20120810.PutItem`.
fn operation(request: &Request) -> &str {
    let target = request.headers.iter().find(|(name, _)| name == "x-amz-target");
    let target = target.and_then(|(_, value)| std::str::from_utf8(value).ok()).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default()
}

pub(crate) fn passed_on(answer: Response) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let own = ["content-length", "transfer-encoding", "connection"];
    for (name, value) in &answer.headers {
        if !own.contains(&name.as_str()) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

fn refusal(status: u16, code: &str) -> Result<hyper::Response<Full<Bytes>>, Failure> {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    json_answer(status, &json!({ "__type": kind, "message": "a fault of the test's" }))
}

fn cancellation(reason: &str) -> Result<hyper::Response<Full<Bytes>>, Failure> {
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let reasons =
        [json!({ "Code": reason, "Message": "a fault of the test's" }), json!({ "Code": "None" })];
    let text = format!("Transaction cancelled, please refer cancellation reasons [{reason}, None]");
    json_answer(400, &json!({ "__type": kind, "Message": text, "CancellationReasons": reasons }))
}

fn nothing_read(request: &Request) -> Result<hyper::Response<Full<Bytes>>, Failure> {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    let keys = body.get("RequestItems").cloned().unwrap_or_default();
    json_answer(200, &json!({ "Responses": {}, "UnprocessedKeys": keys }))
}

fn json_answer(status: u16, body: &Value) -> Result<hyper::Response<Full<Bytes>>, Failure> {
    hyper::Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(Failure::while_doing("answering"))
}
