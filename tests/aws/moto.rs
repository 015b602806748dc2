//! moto, which plays Lambda, IAM, CloudFormation, API Gateway and AgentCore.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A running moto. Dropped, it is gone.
pub struct Moto {
    /// `http://127.0.0.1:port`.
    pub url: String,
    address: String,
    server: Child,
}

/// A program of the virtual environment that `scripts/install-test-tools aws` makes.
fn program(name: &str) -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools/moto/bin")).join(name);
    assert!(path.exists(), "{} is not there: scripts/install-test-tools aws installs it", path.display());
    path
}

impl Moto {
    /// Starts one on a free port, and waits until it answers.
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let server = Command::new(program("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { url: format!("http://{address}"), address, server };
        let until = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(&moto.address).is_err() {
            assert!(Instant::now() < until, "moto does not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
        moto
    }

    /// What GetFunction says of a function in us-east-1.
    pub fn function(&self, name: &str) -> Value {
        self.function_of("123456789012", name)
    }

    /// The same of a function of an account.
    pub fn function_of(&self, account: &str, name: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let credential = "AWS4-HMAC-SHA256 Credential=AKIDORCHESTRATE/20260101/us-east-1/lambda/aws4_request";
        let head = format!(
            "GET /2015-03-31/functions/{name} HTTP/1.1\r\nHost: lambda.us-east-1.amazonaws.com\r\nAuthorization: {credential}, \
             SignedHeaders=host, Signature=0\r\nx-moto-account-id: {account}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }

    /// Runs a script with boto3 against it; gives what it prints.
    pub fn python(&self, script: &str) -> String {
        python(&self.url, script)
    }

    /// Makes a stack whose functions run an image that is not there, on arm64: logical names with the functions'. Its one output is `Name`: the
    /// last of them.
    pub fn stack(&self, name: &str, functions: &[(String, String)]) {
        let role = "arn:aws:iam::123456789012:role/operator";
        let image = format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/old@sha256:{}", "0".repeat(64));
        let resource = |function: &str| {
            let properties = json!({ "FunctionName": function, "PackageType": "Image", "Role": role, "Code": { "ImageUri": image } });
            json!({ "Type": "AWS::Lambda::Function", "Properties": properties })
        };
        let resources: serde_json::Map<_, _> =
            functions.iter().map(|(logical, function)| (logical.clone(), resource(function))).collect();
        let last = functions.last().map(|(logical, _)| logical).unwrap();
        let template = json!({ "Resources": resources, "Outputs": { "Name": { "Value": { "Ref": last } } } });
        let names: Vec<&String> = functions.iter().map(|(_, function)| function).collect();
        // moto's CloudFormation makes every function of a ZIP archive: what the stack names is made again.
        self.python(&format!(
            "import boto3, json\nboto3.client('iam').create_role(RoleName='operator', AssumeRolePolicyDocument='{{}}')\n\
             boto3.client('cloudformation').create_stack(StackName='{name}', TemplateBody={})\n\
             client = boto3.client('lambda')\nfor name in json.loads('{}'):\n client.delete_function(FunctionName=name)\n \
             client.create_function(FunctionName=name, PackageType='Image', Architectures=['arm64'], Code={{'ImageUri': '{image}'}}, \
             Role='{role}')\n",
            Value::String(template.to_string()),
            json!(names),
        ));
    }

    /// Makes an AgentCore runtime that runs an image which is not there; gives its id.
    pub fn runtime(&self, name: &str) -> String {
        let image = format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/old@sha256:{}", "0".repeat(64));
        self.python(&format!(
            "import boto3\nclient = boto3.client('bedrock-agentcore-control')\n\
             made = client.create_agent_runtime(agentRuntimeName='{name}', \
             agentRuntimeArtifact={{'containerConfiguration': {{'containerUri': '{image}'}}}}, \
             roleArn='arn:aws:iam::123456789012:role/agent', networkConfiguration={{'networkMode': 'PUBLIC'}}, \
             environmentVariables={{'STAGE': 'live'}})\nprint(made['agentRuntimeId'], end='')\n"
        ))
    }
}

/// Runs a script with boto3 against a server; gives what it prints.
pub fn python(url: &str, script: &str) -> String {
    let output = Command::new(program("python"))
        .args(["-c", script])
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", "AKIDORCHESTRATE")
        .env("AWS_SECRET_ACCESS_KEY", "x")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
