//! S3, DynamoDB and their kin without an account: PyPI's `moto`, as a server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::{Service, free_port, pip};

const VERSION: &str = "5.2.5";

/// An AWS of its own, in memory.
#[derive(Debug)]
pub struct Moto {
    _service: Service,
    port: u16,
}

impl Moto {
    /// The region of what it makes.
    pub const REGION: &'static str = "us-east-1";

    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// Starts it as one whose state machines run for real, and invoke functions at this port.
    #[must_use]
    pub fn start_with_states(invoke_port: u16) -> Self {
        let moto = Self::start_with(|python| {
            python.env("MOTO_PORT", invoke_port.to_string());
        });
        let config = serde_json::json!({"stepfunctions": {"execute_state_machine": true}}).to_string();
        let answer = ask(moto.port, "POST", "/moto-api/config", "content-type: application/json\r\n", &config);
        assert!(answer.as_ref().is_some_and(|answer| answer.starts_with("HTTP/1.1 20")), "state machines do not run: {answer:?}");
        moto
    }

    fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let packages = pip(&format!("pip-moto-{VERSION}"), &[&format!("moto[server,s3,dynamodb]=={VERSION}")]);
        let port = free_port();
        let mut python = Command::new("python3");
        python.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]).env("PYTHONPATH", packages);
        change(&mut python);
        let service = Service::start("moto", &mut python, || ask(port, "GET", "/moto-api/", "", "").is_some());
        Self { _service: service, port }
    }

    /// Its address, for every service: `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes a state machine of this definition; its ARN.
    #[must_use]
    pub fn create_state_machine(&self, name: &str, definition: &str) -> String {
        let role = "arn:aws:iam::123456789012:role/states";
        let parameters = serde_json::json!({"name": name, "definition": definition, "roleArn": role}).to_string();
        let headers = format!(
            "{}content-type: application/x-amz-json-1.0\r\nx-amz-target: AWSStepFunctions.CreateStateMachine\r\n",
            signed_for("states")
        );
        let answer = ask(self.port, "POST", "/", &headers, &parameters).unwrap_or_default();
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        let made: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let arn = made.get("stateMachineArn").and_then(serde_json::Value::as_str);
        arn.unwrap_or_else(|| panic!("no state machine was made: {answer}")).to_owned()
    }

    /// Makes a bucket.
    pub fn create_bucket(&self, name: &str) {
        let answer = ask(self.port, "PUT", &format!("/{name}"), &signed_for("s3"), "");
        assert!(answer.as_ref().is_some_and(|answer| answer.starts_with("HTTP/1.1 200")), "no bucket was made: {answer:?}");
    }

    /// Makes a table with the text keys `pk` and `sk`.
    pub fn create_table(&self, name: &str) {
        let definition = serde_json::json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
        });
        self.call("dynamodb", "DynamoDB_20120810.CreateTable", &definition);
    }

    /// Keeps a text as a parameter of SSM, encrypted.
    pub fn put_parameter(&self, name: &str, value: &str) {
        let parameter = serde_json::json!({"Name": name, "Value": value, "Type": "SecureString"});
        self.call("ssm", "AmazonSSM.PutParameter", &parameter);
    }

    /// Keeps a text as a secret of Secrets Manager.
    pub fn create_secret(&self, id: &str, value: &str) {
        let secret = serde_json::json!({"Name": id, "SecretString": value, "ClientRequestToken": "00000000-0000-4000-8000-000000000001"});
        self.call("secretsmanager", "secretsmanager.CreateSecret", &secret);
    }

    /// Calls an operation of a service of AWS's JSON protocol, which has to succeed.
    fn call(&self, service: &str, operation: &str, parameters: &serde_json::Value) {
        let headers = format!("{}content-type: application/x-amz-json-1.1\r\nx-amz-target: {operation}\r\n", signed_for(service));
        let answer = ask(self.port, "POST", "/", &headers, &parameters.to_string());
        assert!(answer.as_ref().is_some_and(|answer| answer.starts_with("HTTP/1.1 200")), "{operation} failed: {answer:?}");
    }
}

/// It tells services apart by the scope of a signature, which it does not check.
fn signed_for(service: &str) -> String {
    format!(
        "authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n"
    )
}

fn ask(port: u16, method: &str, path: &str, headers: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
