-- The first schema. Times are Unix milliseconds. Enums are the positions of their words in proto/enums.h
-- (type, status, visibility, language, kind, role), which only grow at their end.

-- The database itself: 'epoch' names this history of changes and is renewed by a restore.
CREATE TABLE meta (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE, -- the name without regard to case
    display_name TEXT NOT NULL DEFAULT '',
    email TEXT NOT NULL DEFAULT '',
    role INTEGER NOT NULL CHECK (role BETWEEN 0 AND 3),
    password_hash TEXT NOT NULL DEFAULT '', -- empty: no password of its own
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_at INTEGER NOT NULL,
    last_login_at INTEGER
) STRICT;

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32), -- the secret itself is nowhere
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 1),
    role INTEGER NOT NULL CHECK (role BETWEEN 0 AND 3),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- Not for group 1: everyone is in it without a row.
CREATE TABLE group_members (
    id INTEGER PRIMARY KEY,
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    UNIQUE (user_id, group_id)
) STRICT;
CREATE INDEX group_members_group ON group_members (group_id);

CREATE TABLE spaces (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE space_groups (
    id INTEGER PRIMARY KEY,
    space_id INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES groups (id),
    editor INTEGER NOT NULL CHECK (editor IN (0, 1)), -- 0: its members read, 1: its Editors write
    UNIQUE (space_id, editor, group_id)
) STRICT;
CREATE INDEX space_groups_group ON space_groups (group_id, editor);

-- The newest state, without its long text: that is in the revision of the same version.
CREATE TABLE articles (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- numbers of purged articles do not come back
    slug TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    type INTEGER NOT NULL CHECK (type BETWEEN 0 AND 5),
    status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 3),
    language INTEGER CHECK (language BETWEEN 0 AND 1),
    summary_technical TEXT NOT NULL DEFAULT '',
    summary_non_technical TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '', -- names in order, one a line; article_tags has the same as rows
    owner_id INTEGER REFERENCES users (id),
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    visibility INTEGER NOT NULL CHECK (visibility BETWEEN 0 AND 2),
    group_id INTEGER REFERENCES groups (id),
    review_by TEXT,
    created_at INTEGER NOT NULL,
    created_by INTEGER, -- a user, or -1: the system
    updated_at INTEGER NOT NULL,
    updated_by INTEGER,
    version INTEGER NOT NULL CHECK (version > 0),
    deleted_at INTEGER, -- in the bin since
    CHECK (visibility <> 1 OR group_id IS NOT NULL)
) STRICT;
-- Lists in the usual order look at these columns before they touch the row.
CREATE INDEX articles_updated ON articles (updated_at, id, type, status, space_id, visibility, deleted_at);
CREATE INDEX articles_created ON articles (created_at, id);
CREATE INDEX articles_owner ON articles (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX articles_space ON articles (space_id);
CREATE INDEX articles_group ON articles (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX articles_review ON articles (review_by) WHERE review_by IS NOT NULL;
CREATE INDEX articles_bin ON articles (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE revisions (
    id INTEGER PRIMARY KEY,
    article_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    title TEXT NOT NULL,
    type INTEGER NOT NULL,
    status INTEGER NOT NULL,
    language INTEGER,
    summary_technical TEXT NOT NULL DEFAULT '',
    summary_non_technical TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '',
    review_by TEXT,
    body TEXT NOT NULL,
    UNIQUE (article_id, version)
) STRICT;

CREATE TABLE tags (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    color TEXT NOT NULL DEFAULT '',
    category TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE article_tags (
    id INTEGER PRIMARY KEY,
    article_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    tag_id INTEGER NOT NULL REFERENCES tags (id),
    UNIQUE (article_id, tag_id)
) STRICT;
CREATE INDEX article_tags_tag ON article_tags (tag_id, article_id);

CREATE TABLE relations (
    id INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    from_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    to_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    created_by INTEGER,
    UNIQUE (from_id, to_id, type),
    CHECK (from_id <> to_id)
) STRICT;
CREATE INDEX relations_to ON relations (to_id);

CREATE TABLE feedback (
    id INTEGER PRIMARY KEY,
    article_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    kind INTEGER,
    rating INTEGER CHECK (rating BETWEEN 1 AND 5),
    comment TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    created_by INTEGER,
    CHECK (kind IS NOT NULL OR rating IS NOT NULL)
) STRICT;
CREATE INDEX feedback_article ON feedback (article_id, id);

CREATE TABLE comments (
    id INTEGER PRIMARY KEY,
    article_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by INTEGER
) STRICT;
CREATE INDEX comments_article ON comments (article_id, id);

CREATE TABLE views (
    id INTEGER PRIMARY KEY,
    article_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    day INTEGER NOT NULL, -- days since 1970-01-01, UTC
    count INTEGER NOT NULL,
    UNIQUE (article_id, day)
) STRICT;
CREATE INDEX views_day ON views (day, count);

-- Their content is a file named by its hash.
CREATE TABLE attachments (
    id INTEGER PRIMARY KEY,
    article_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    created_at INTEGER NOT NULL,
    created_by INTEGER
) STRICT;
CREATE INDEX attachments_article ON attachments (article_id, id);
CREATE INDEX attachments_content ON attachments (sha256);

CREATE TABLE templates (
    id INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    language INTEGER NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (type, language)
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    user_id INTEGER NOT NULL, -- -1: the system, 0: nobody
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    result TEXT NOT NULL,
    address TEXT NOT NULL,
    request_id TEXT NOT NULL
) STRICT;
CREATE INDEX audit_user ON audit (user_id);

-- The change feed: what was committed, in order.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    object_id INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- Answers to writes that may be sent again.
CREATE TABLE idempotency (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL,
    method TEXT NOT NULL,
    key TEXT NOT NULL,
    epoch TEXT NOT NULL,
    params_hash BLOB NOT NULL,
    result BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (user_id, method, key)
) STRICT;
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

INSERT INTO groups (id, name, created_at) VALUES (1, 'everyone', 0);
INSERT INTO spaces (id, name, description, created_at) VALUES (1, 'general', '', 0);
INSERT INTO space_groups (space_id, group_id, editor) VALUES (1, 1, 0), (1, 1, 1);

INSERT INTO templates (type, language, title, body) VALUES
(0, 0, '【障害】対象システム：事象の要約', '## 概要

## 発生日時と検知の経緯

## 影響範囲

- 利用者・部門：
- システム・サービス：
- 業務への影響：

## 事象

## 暫定対処

## 原因（判明している範囲）

## 復旧手順

1. 

## 復旧確認

## 時系列

| 日時 | 事象・対応 | 担当 |
| --- | --- | --- |

## 再発防止と関連する問題
'),
(1, 0, '【問題】対象：根本原因の要約', '## 問題の概要

## 関連するインシデント

## 再現条件

## 調査内容

## 根本原因

## 回避策（ワークアラウンド）

## 恒久対策

## 対策の確認方法

## 残るリスク
'),
(2, 0, '【変更】対象：変更内容の要約', '## 変更の目的

## 変更内容

## 対象の構成アイテム

## 影響とリスク

## 実施日時と体制

## 事前準備

- [ ] バックアップを取得した
- [ ] 関係者へ連絡した

## 作業手順

1. 

## 確認手順

## 切り戻し手順と判断基準

## 実施結果
'),
(3, 0, '【リリース】製品名 版数', '## リリースの概要

## 含まれる変更

## 対象環境と日程

## 前提条件

## 展開手順

1. 

## 動作確認

## 既知の問題

## 切り戻し手順

## 利用者への案内
'),
(4, 0, '【依頼】サービス要求の名称', '## この手順で受け付ける依頼

## 申請方法と必要な情報

## 承認者

## 対応手順

1. 

## 完了の確認

## 標準の所要時間

## よくある質問
'),
(5, 0, '題名', '## 概要

## 対象者

## 内容

## 手順

1. 

## 参考情報
'),
(0, 1, '[Incident] system: what happened', '## Summary

## When it happened and how it was noticed

## Impact

- Users and departments:
- Systems and services:
- Business:

## Symptoms

## Workaround

## Cause (as far as known)

## Recovery

1. 

## How recovery was confirmed

## Timeline

| Time | Event or action | Who |
| --- | --- | --- |

## Prevention and related problems
'),
(1, 1, '[Problem] subject: root cause in brief', '## Summary

## Related incidents

## How to reproduce

## Investigation

## Root cause

## Workaround

## Permanent fix

## How the fix is verified

## Remaining risk
'),
(2, 1, '[Change] subject: what changes', '## Purpose

## What changes

## Configuration items concerned

## Impact and risk

## Schedule and people

## Preparation

- [ ] A backup has been made
- [ ] Those concerned have been told

## Steps

1. 

## Verification

## Rollback: steps and when to take them

## Result
'),
(3, 1, '[Release] product and version', '## Summary

## Changes contained

## Environments and dates

## Prerequisites

## Deployment

1. 

## Verification

## Known issues

## Rollback

## Notice to users
'),
(4, 1, '[Request] name of the service request', '## What can be requested

## How to request, and what to tell

## Who approves

## Fulfilment

1. 

## How completion is confirmed

## Usual time needed

## Frequent questions
'),
(5, 1, 'Title', '## Summary

## Who this is for

## Content

## Steps

1. 

## See also
');
