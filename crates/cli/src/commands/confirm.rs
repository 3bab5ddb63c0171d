//! What cannot be taken back is confirmed by the name of what it is done to.

use crate::exit::Usage;

/// Says what will be lost and asks for the name, unless `--yes` was said.
pub(super) async fn by_name(loss: &str, name: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    let question = format!("{loss}\nType its name to go on: ");
    match crate::prompt::line(question).await? {
        Some(typed) if typed == name => Ok(()),
        Some(_) => Err(Usage("that is not its name; nothing was done".into()).into()),
        None => {
            let text = "nobody is here to be asked; say --yes when it is to be done";
            Err(Usage(text.into()).into())
        }
    }
}
