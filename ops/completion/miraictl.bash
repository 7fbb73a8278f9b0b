# bash completion for miraictl; made by `miraictl completion bash`
_miraictl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local name=${COMP_WORDS[1]} words='' options='' values='' files='' found=1
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W 'run status import export search user token tag synonyms words queries audit reindex backup restore log-level secret config completion help --help --version' -- "$current"))
    return
  fi
  case $name in
      user) words='list create set-role disable enable password sessions end-sessions reset-second-factor hand-over ' ;;
      token) words='list create revoke ' ;;
      tag) words='list ' ;;
      synonyms) words='list add remove import export ' ;;
      words) words='list add remove import export ' ;;
      queries) words='list ' ;;
      audit) words='list verify export heads key ' ;;
      backup) words='now list verify ' ;;
      secret) words='init seal rotate ' ;;
      config) words='show help check ' ;;
      completion) words='bash ' ;;
  esac
  if [ -n "$words" ]; then
    if [ "$COMP_CWORD" -eq 2 ]; then
      COMPREPLY=($(compgen -W "$words" -- "$current"))
      return
    fi
    name="$name ${COMP_WORDS[2]}"
  fi
  case "$name $previous" in
    'run --only') values= files= ;;
    'import --owner') values= files= ;;
    'import --status') values='draft in_review published archived' ;;
    'import --type') values='incident problem change release request other' ;;
    'import --space') values= files= ;;
    'search --type') values='incident problem change release request other' ;;
    'search --status') values='draft in_review published archived' ;;
    'search --tag') values= files= ;;
    'search --limit') values= files= ;;
    'user create --role') values='viewer editor admin' ;;
    'user create --display-name') values= files= ;;
    'user create --email') values= files= ;;
    'user create --password-file') values= files=1 ;;
    'user password --password-file') values= files=1 ;;
    'user hand-over --to') values= files= ;;
    'token create --user') values= files= ;;
    'token create --role') values='viewer editor admin' ;;
    'token create --days') values= files= ;;
    'token create --output-file') values= files=1 ;;
    'synonyms add --note') values= files= ;;
    'words add --reading') values= files= ;;
    'queries list --days') values= files= ;;
    'queries list --min-users') values= files= ;;
    'queries list --limit') values= files= ;;
    'audit list --limit') values= files= ;;
    'audit list --user') values= files= ;;
    'audit list --action') values= files= ;;
    'audit list --object') values= files= ;;
    'audit list --result') values= files= ;;
    'audit list --after') values= files= ;;
    'audit list --before') values= files= ;;
    'audit verify --file') values= files=1 ;;
    'audit verify --heads') values= files=1 ;;
    'audit verify --key') values= files=1 ;;
    *) found= ;;
  esac
  if [ -n "$found" ]; then
    COMPREPLY=($(compgen -W "$values" ${files:+-f} -- "$current"))
    return
  fi
  case $name in
    'run') options='--json --help --only' ;;
    'status') options='--json --help' ;;
    'import') options='--json --help --owner --status --type --space --dry-run' ;;
    'export') options='--json --help' ;;
    'search') options='--json --help --type --status --tag --limit' ;;
    'user list') options='--json --help' ;;
    'user create') options='--json --help --role --display-name --email --password-file --generate --must-change-password' ;;
    'user set-role') options='--json --help' ;;
    'user disable') options='--json --help' ;;
    'user enable') options='--json --help' ;;
    'user password') options='--json --help --password-file --generate --must-change-password' ;;
    'user sessions') options='--json --help' ;;
    'user end-sessions') options='--json --help' ;;
    'user reset-second-factor') options='--json --help' ;;
    'user hand-over') options='--json --help --to' ;;
    'token list') options='--json --help' ;;
    'token create') options='--json --help --user --role --days --output-file' ;;
    'token revoke') options='--json --help' ;;
    'tag list') options='--json --help' ;;
    'synonyms list') options='--json --help' ;;
    'synonyms add') options='--json --help --note' ;;
    'synonyms remove') options='--json --help' ;;
    'synonyms import') options='--json --help' ;;
    'synonyms export') options='--json --help' ;;
    'words list') options='--json --help' ;;
    'words add') options='--json --help --reading' ;;
    'words remove') options='--json --help' ;;
    'words import') options='--json --help' ;;
    'words export') options='--json --help' ;;
    'queries list') options='--json --help --zero --days --min-users --limit' ;;
    'audit list') options='--json --help --limit --user --action --object --result --after --before' ;;
    'audit verify') options='--json --help --file --heads --key' ;;
    'audit export') options='--json --help' ;;
    'audit heads') options='--json --help' ;;
    'audit key') options='--json --help' ;;
    'reindex') options='--json --help' ;;
    'backup now') options='--json --help' ;;
    'backup list') options='--json --help' ;;
    'backup verify') options='--json --help' ;;
    'restore') options='--json --help --yes --cancel' ;;
    'log-level') options='--json --help' ;;
    'secret init') options='--json --help' ;;
    'secret seal') options='--json --help' ;;
    'secret rotate') options='--json --help' ;;
    'config show') options='--json --help' ;;
    'config help') options='--json --help --markdown' ;;
    'config check') options='--json --help' ;;
    'completion bash') options='--json --help' ;;
  esac
  if [ "${current:0:1}" = - ]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _miraictl miraictl
