//! What Lambda takes, and what the program does about it: the server judges images as Lambda does (tests/support/aws/images.py).

use serde_json::{Value, json};

use crate::media::{outcomes, receipt, tag};
use crate::moto::{Moto, python};
use crate::world::World;

const HOST: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

/// Images `api` (arm64) and `both` (an index) in the private registry, `api` in the public one too.
fn published(world: &World) {
    let image = "  api:\n    platforms: [linux/arm64]\n    push:\n      - { registry: private, repository: api, tags: [latest] }\n      \
        - { registry: public, repository: api, tags: [latest] }\n  both:\n    platforms: [linux/amd64, linux/arm64]\n    \
        push: { registry: private, repository: both, tags: [latest] }\n";
    world.manifest(&world.registries(", create: true"), image);
    world.run(&["apply"]).expect(0);
}

/// What a client without our program hears when it makes a function, or tries an update.
fn asked(world: &World, key: &str, call: &str) -> String {
    let script = format!(
        "import boto3, botocore\nclient = boto3.client('lambda', aws_access_key_id='{key}', aws_secret_access_key='x')\n\
         role = f\"arn:aws:iam::{{boto3.client('sts', aws_access_key_id='{key}', aws_secret_access_key='x').get_caller_identity()['Account']}}:role/operator\"\n\
         def make(uri, architecture='arm64'):\n return client.create_function(FunctionName='Try', PackageType='Image', Role=role, \
         Architectures=[architecture], Code={{'ImageUri': uri}})\n\
         def update(uri):\n return client.update_function_code(FunctionName='Try', ImageUri=uri, DryRun=True)\n\
         try:\n {call}\n print('done', end='')\n\
         except botocore.exceptions.ClientError as error:\n print(error.response['Error']['Code'], error.response['Error']['Message'], end='')\n"
    );
    python(world.control(), &script)
}

#[test]
fn lambda_takes_single_images_of_its_own_region_and_architecture() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    published(&world);
    moto.python("import boto3\nboto3.client('iam').create_role(RoleName='operator', AssumeRolePolicyDocument='{}')\n");
    let here = |call: &str| asked(&world, "AKIDORCHESTRATE", call);
    let digest = tag(&world, "api", "latest");

    let not_valid = [
        "public.ecr.aws/a1b2c3d4/api:latest".to_owned(),
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/api:latest".to_owned(),
        format!("{HOST}/api"),
        format!("{HOST}/api:latest@{digest}"),
    ];
    for uri in &not_valid {
        let said = here(&format!("make('{uri}')"));
        let wanted =
            format!("InvalidParameterValueException Source image {uri} is not valid. Provide a valid source image.");
        assert_eq!(said, wanted);
    }
    for uri in [format!("{HOST}/api:gone"), format!("{HOST}/nowhere:latest")] {
        let said = here(&format!("make('{uri}')"));
        assert_eq!(
            said,
            format!("InvalidParameterValueException Source image {uri} does not exist. Provide a valid source image.")
        );
    }
    let index = here(&format!("make('{HOST}/both:latest')"));
    assert!(index.contains("The image manifest, config or layer media type for the source image"), "{index}");

    // Nobody lets Lambda in: it does so itself, if the caller may.
    world.set(&json!({ "deny": ["ecr:SetRepositoryPolicy"] }));
    let denied =
        "AccessDeniedException Lambda does not have permission to access the ECR image. Check the ECR permissions.";
    assert_eq!(here(&format!("make('{HOST}/api@{digest}')")), denied);
    world.set(&json!({ "deny": [] }));
    let other = here(&format!("make('{HOST}/api:latest', 'x86_64')"));
    assert!(other.contains("exec format error"), "{other}");
    assert_eq!(here(&format!("make('{HOST}/api@{digest}')")), "done");
    let policy = world.repository("123456789012/us-east-1:api")["policy"].clone();
    assert!(policy.as_str().unwrap().contains("LambdaECRImageRetrievalPolicy"), "{policy}");

    // A dry run of an update judges too.
    assert_eq!(here(&format!("update('{HOST}/api@{digest}')")), "done");
    assert!(here(&format!("update('{HOST}/both:latest')")).contains("media type"));
    world.post("forget", &json!({ "repository": "api", "tag": "latest" }));
    assert!(here(&format!("update('{HOST}/api@{digest}')")).contains("does not exist"));
}

#[test]
fn another_account_is_let_in_with_its_functions_or_not_at_all() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    published(&world);
    let script = "import boto3\nboto3.client('iam', aws_access_key_id='AKIDOTHERACCOUNT', aws_secret_access_key='x').create_role(RoleName='operator', \
        AssumeRolePolicyDocument='{}')\n";
    python(world.control(), script);
    let there = || asked(&world, "AKIDOTHERACCOUNT", &format!("make('{HOST}/api:latest')"));
    assert!(there().starts_with("AccessDeniedException Lambda does not have permission"), "{}", there());
    // The policy that the program sets for `allow`.
    let text = std::fs::read_to_string(world.root().join("deploy.yaml")).unwrap();
    world.write("deploy.yaml", &text.replace("create: true }", "create: { allow: [\"210987654321\"] } }"));
    world.commit("let them in");
    world.run(&["apply"]).expect(0);
    assert_eq!(there(), "done");
}

#[test]
fn an_image_in_ecr_public_alone_is_refused_by_check_and_by_lambda() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    let image =
        "  api:\n    platforms: [linux/arm64]\n    push: { registry: public, repository: api, tags: [latest] }\n    ";
    world.manifest(&world.registries(""), &format!("{image}deploy: {{ lambda: Api }}\n"));
    world.clear();
    world.run(&["check"]).expect(2).says("lambda-without-ecr");
    world.run(&["apply"]).expect(2).says("lambda-without-ecr");
    assert_eq!(world.calls(), ["sts:GetCallerIdentity"], "apply asked who it is, check asked nobody");
    world.manifest(&world.registries(""), image);
    world.run(&["apply"]).expect(0);
    let said = asked(&world, "AKIDORCHESTRATE", "make('public.ecr.aws/a1b2c3d4/api:latest')");
    assert!(said.contains("is not valid. Provide a valid source image."), "{said}");
}

#[test]
fn a_function_is_given_the_manifest_of_its_architecture_or_nothing() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    let functions: Vec<(String, String)> = vec![("Api".to_owned(), "Api".to_owned())];
    moto.stack("media", &functions);
    let manifest = |platforms: &str| {
        let image = format!(
            "  api:\n    platforms: [{platforms}]\n    push: {{ registry: private, repository: api, tags: [latest] }}\n    \
             deploy: {{ lambda: Api }}\n"
        );
        world.manifest(&world.registries(", create: true"), &image);
    };
    manifest("linux/amd64");
    let refused = world.run(&["apply"]).expect(2);
    assert!(refused.text().contains("it runs on arm64, and the image is made for linux/amd64"), "{}", refused.text());
    assert_eq!(world.ask("state"), json!({}), "before anything is touched");
    manifest("linux/amd64, linux/arm64");
    world.run(&["apply"]).expect(0);
    assert_eq!(outcomes(&receipt(&world)), [("Api".to_owned(), "deployed".to_owned())]);
    let runs: Value = moto.function("Api")["Code"]["ImageUri"].clone();
    let index = tag(&world, "api", "latest");
    assert!(!runs.as_str().unwrap().ends_with(&index), "the index itself would have been refused: {runs}");
}

#[test]
fn the_doctor_does_not_mind_an_image_that_apply_makes_again() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    let image = "  api:\n    platforms: [linux/arm64]\n    push: { registry: private, repository: api, tags: [latest] }\n    \
        deploy: { lambda: { function: Api, create: true } }\n";
    world.manifest(&world.registries(", create: true"), image);
    world.run(&["apply"]).expect(0);
    world.post("forget", &json!({ "repository": "api", "tag": "latest" }));
    world.run(&["doctor"]).expect(0).says("does not exist").says("apply gives it api");
    world.run(&["apply"]).expect(0).says("1 built");
    world.run(&["doctor"]).expect(0).says("as it should");
}
