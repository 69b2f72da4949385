use super::*;
use proptest::prelude::*;

fn masked(arguments: &[&str]) -> String {
    let shown: Vec<String> =
        command(arguments.join("\0").as_bytes()).iter().map(ToString::to_string).collect();
    shown.join(" | ")
}

#[test]
fn secrets_by_name_are_masked() {
    let cases: &[(&[&str], &str)] = &[
        (&["x", "--token", "abc", "--port", "1"], "x | --token | *** | --port | 1"),
        (&["--api-key=abc", "--apiKey", "abc"], "--api-key=*** | --apiKey | ***"),
        (&["--hf_token=abc=="], "--hf_token=***"),
        (&["--password", "hunter2", "-password=x"], "--password | *** | -password=***"),
        (
            &["env", "HF_TOKEN=abc", "WANDB_API_KEY=1", "python"],
            "env | HF_TOKEN=*** | WANDB_API_KEY=*** | python",
        ),
        (&["trainer.wandb.api_key=abc", "lr=0.1"], "trainer.wandb.api_key=*** | lr=0.1"),
        (&["-H", "Authorization: Bearer abc", "url"], "-H | Authorization: *** | url"),
        (&["-H", "X-Api-Key: abc def"], "-H | X-Api-Key: ***"),
        (&["bearer", "abc", "d"], "bearer | *** | d"),
        (
            &[r#"{"model": "llama", "api_key": "a b c", "n": 1}"#],
            r#"{"model": "llama", "api_key": "***", "n": 1}"#,
        ),
        (&["{'secret': 'x'}"], "{'secret': '***'}"),
        (&["https://h/v1?token=abc&n=1"], "https://h/v1?token=***&n=1"),
        (&["postgres://ada:hunter2@db/x", "http://ada@h/"], "postgres://ada:***@db/x | http://ada@h/"),
        (&["https://ada:p@ss:w@h:80/x"], "https://ada:***@h:80/x"),
        (
            &["--password=a, b=c", "curl -H 'Authorization: Bearer abc' u"],
            "--password=*** | curl -H 'Authorization: *** ***' u",
        ),
        (
            &["-c", "import os; os.environ['HF_TOKEN'] = 'abc def'; token = \"x y\"; print(1)"],
            "-c | import os; os.environ['HF_TOKEN'] = '***'; token = \"***\"; print(1)",
        ),
        (
            &["https://s3/x?X-Amz-Signature=ab12&n=1", "OPENAI_KEY=x"],
            "https://s3/x?X-Amz-Signature=***&n=1 | OPENAI_KEY=***",
        ),
        (&["worker --token abc --n 1"], "worker --token *** --n 1"),
        (&["--auth", "--verbose"], "--auth | --verbose"),
        (&["--token"], "--token"),
        (&["--token", "", "x"], "--token |  | x"),
        (
            &["AWS_SECRET_ACCESS_KEY=wJalr", "AWS_SESSION_TOKEN=x"],
            "AWS_SECRET_ACCESS_KEY=*** | AWS_SESSION_TOKEN=***",
        ),
        (&["--private-key", "-----BEGIN RSA PRIVATE KEY-----\nabc"], "--private-key | ***"),
        (&["x", "-----BEGIN PRIVATE KEY-----\nabc"], "x | ***"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(masked(arguments), *expected);
    }
}

#[test]
fn secrets_by_shape_are_masked() {
    for secret in [
        "sk-proj-abcdefghijklmnop",
        "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
        "ghp_0123456789abcdefghij",
        "github_pat_11ABCDEFG0123456789",
        "glpat-abcdefghij0123456789",
        "nvapi-abcdefghijklmnopqrst",
        "xoxb-123456789012-abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "0123456789abcdef0123456789abcdef01234567",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "Zx8Kq2Lm9Np4Rt6Vw1Yb3Dc5Fg7Hj0Ks",
    ] {
        assert_eq!(masked(&["run", secret]), "run | ***");
        assert_eq!(masked(&[&format!("--x={secret}")]), "--x=***");
        assert_eq!(masked(&[&format!("print('{secret}')")]), "print('***')");
    }
    assert_eq!(
        masked(&["https://hf_AbCdEfGhIjKlMnOpQrStUvWxYz@huggingface.co/m"]),
        "https://***@huggingface.co/m"
    );
}

#[test]
fn what_explains_a_job_stays_readable() {
    let arguments: &[&str] = &[
        "python3",
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8-dynamic-longcontext",
        "--max-tokens",
        "4096",
        "--tokenizer",
        "x",
        "--pad-token",
        "<pad>",
        "--eos-token-id",
        "2",
        "--max-num-batched-tokens",
        "8192",
        "--token-limit",
        "9",
        "--auth-url",
        "http://h:80/",
        "--revision",
        "0123456789abcdef0123456789abcdef01234567",
        "--commit=0123456789abcdef0123456789abcdef01234567",
        "/root/.cache/huggingface/hub/models--x/snapshots/0123456789abcdef0123456789abcdef01234567",
        "--tensor-parallel-size=8",
        "sk-learn-server",
        "--passes",
        "3",
        "--author",
        "ada",
        "--compass",
        "n",
        "step_100000_of_a_very_long_running_experiment_name",
        "GPU-0f8fad5b-d9cb-469f-a165-70867728950e",
        "--monkey",
        "business",
        "--keyboard",
        "us",
        "--pathological",
        "1",
    ];
    assert_eq!(masked(arguments), arguments.join(" | "));
}

#[test]
fn titles_control_characters_and_lengths() {
    assert_eq!(command(b"").len(), 0);
    assert_eq!(command(b"\0\0").len(), 0);
    assert_eq!(masked(&["VLLM::EngineCore\0\0\0\0"]), "VLLM::EngineCore");
    assert_eq!(masked(&["a", "", "b"]), "a |  | b", "an empty argument is one");
    assert_eq!(masked(&["-c", "x\n\u{1b}[2Jy\u{202e}z"]), "-c | x  [2Jy z");
    let long = "x".repeat(5_000);
    assert_eq!(command(long.as_bytes())[0].chars().count(), ARGUMENT_LENGTH + 1);
    let many = command("a\0".repeat(1_000).as_bytes());
    assert_eq!((many.len(), many.last().map(AsRef::as_ref)), (ARGUMENTS_AT_MOST + 1, Some("…")));
    let heavy = command([long.as_str(); 100].join("\0").as_bytes());
    assert!(heavy.iter().map(|argument| argument.len()).sum::<usize>() <= COMMAND_LENGTH + 3);
}

#[test]
fn of_the_environment_only_the_allowed_part_is_taken() {
    let variables = [
        "PATH=/bin",
        "CUDA_VISIBLE_DEVICES=0,1",
        "NCCL_DEBUG=INFO",
        "HF_TOKEN=abc",
        "VLLM_API_KEY=abc",
        "RANK=3",
        "VLLM_HOST_IP=10.0.0.1",
        "AWS_SECRET_ACCESS_KEY=x",
        "NCCL_X=hf_AbCdEfGhIjKlMnOpQrSt",
        "RANKS=1",
        "junk",
        "",
        "CUDA_VISIBLE_DEVICES_X=1",
        "OMP_NUM_THREADS=",
        "MASTER_ADDR=http://a:b@h/",
    ];
    let taken = environment(variables.join("\0").as_bytes());
    let shown: Vec<String> = taken.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "CUDA_VISIBLE_DEVICES=0,1",
        "NCCL_DEBUG=INFO",
        "VLLM_API_KEY=***",
        "RANK=3",
        "VLLM_HOST_IP=10.0.0.1",
        "NCCL_X=***",
        "OMP_NUM_THREADS=",
        "MASTER_ADDR=http://a:***@h/",
    ];
    assert_eq!(shown, expected);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "(--token|://|@|:|\"|=| |-----BEGIN|PRIVATE KEY|é|x|\\x00){0,12}") {
        for bytes in [&bytes, text.as_bytes()] {
            let _ = (command(bytes), environment(bytes));
        }
    }

    #[test]
    fn a_named_secret_never_shows(secret in "[a-zA-Z0-9/+_.%~!]{6,40}", form in 0..6_usize) {
        // The secret stands out so that a chance match of its letters elsewhere is none.
        let secret = format!("Q7{secret}Q7");
        let text = match form {
            0 => format!("--token\0{secret}"),
            1 => format!("--api-key={secret}"),
            2 => format!("DB_PASSWORD={secret} python"),
            3 => format!("{{\"secret\": \"{secret}\"}}"),
            4 => format!("-H\0Authorization: Bearer {secret}"),
            _ => format!("redis://user:{secret}@host:1/").replace('/', "-").replace(":--", "://"),
        };
        let secret = if form == 5 { secret.replace('/', "-") } else { secret };
        let shown = command(text.as_bytes()).join(" ");
        prop_assert!(!shown.contains(&secret), "{text}: {shown}");
    }
}
