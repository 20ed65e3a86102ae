/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/imagedb.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"

#define SCHEMA_VERSION 2
#define BUSY_TIMEOUT_MS 30000

struct imagedb {
	sqlite3 *db;
	bool has_no_sums; /* of version 1, and cannot be changed */
};

DEFINE_CLEANUP(struct imagedb *, imagedb_free);
#define cleanup_imagedb cleanup_with(imagedb_free_cleanup)

static inline void stmt_cleanup(sqlite3_stmt **stmt)
{
	(void)sqlite3_finalize(*stmt);
}
#define cleanup_stmt cleanup_with(stmt_cleanup)

void image_row_release(struct image_row *row)
{
	free(row->id);
	free(row->name);
	free(row->labels);
	free(row->version);
	free(row->source);
	free(row->etag);
	free(row->signer);
	*row = (struct image_row){0};
}

/* There may be thousands of rows of seven texts: a few large pieces of memory
 * instead of an allocation for each. */
struct image_texts {
	struct image_texts *next;
	size_t used, room;
	char bytes[];
};

#define TEXTS_ROOM (64 * 1024 - sizeof(struct image_texts))

void image_rows_release(struct image_rows *rows)
{
	while (rows->texts) {
		struct image_texts *texts = rows->texts;

		rows->texts = texts->next;
		free(texts);
	}
	free(rows->v);
	*rows = (struct image_rows)IMAGE_ROWS_INIT;
}

static char *texts_add(struct image_texts **texts, const char *s, size_t len)
{
	struct image_texts *t = *texts;
	char *copy;

	if (!t || t->room - t->used <= len) {
		size_t room = len < TEXTS_ROOM ? TEXTS_ROOM : len + 1;

		t = xreallocarray(NULL, 1, sizeof(*t) + room);
		*t = (struct image_texts){.next = *texts, .room = room};
		*texts = t;
	}
	copy = t->bytes + t->used;
	memcpy(copy, s, len);
	copy[len] = '\0';
	t->used += len + 1;
	return copy;
}

static int db_error(const struct imagedb *db, struct error *err,
		    const char *what)
{
	int code = sqlite3_errcode(db->db);
	bool is_damaged = false;

	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = EBUSY;
		break;
	case SQLITE_FULL:
		code = ENOSPC;
		break;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		code = EACCES;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		is_damaged = true;
		code = EIO;
		break;
	default:
		code = EIO;
	}
	return error_set(err, code, "%s the image table %s: %s%s", what,
			 sqlite3_db_filename(db->db, "main"),
			 sqlite3_errmsg(db->db),
			 is_damaged ? " (remove the file: \"rkt image gc\" "
				      "makes it anew from the images)"
				    : "");
}

static int db_exec(struct imagedb *db, const char *sql, const char *what,
		   struct error *err)
{
	if (sqlite3_exec(db->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(db, err, what);
	return 0;
}

static int db_schema_version(struct imagedb *db, int *ret, struct error *err)
{
	cleanup_stmt sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db->db, "PRAGMA user_version", -1, &stmt,
			       NULL) != SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_ROW)
		return db_error(db, err, "read");
	*ret = sqlite3_column_int(stmt, 0);
	return 0;
}

/* Prepared statements: texts are borrowed until the statement is done. */
static int db_prepare(struct imagedb *db, const char *sql, sqlite3_stmt **ret,
		      struct error *err)
{
	if (sqlite3_prepare_v2(db->db, sql, -1, ret, NULL) != SQLITE_OK)
		return db_error(db, err, "query");
	return 0;
}

static void bind_text(sqlite3_stmt *stmt, int i, const char *s)
{
	(void)sqlite3_bind_text(stmt, i, s ? s : "", -1, SQLITE_STATIC);
}

static int db_step_done(struct imagedb *db, sqlite3_stmt *stmt,
			struct error *err)
{
	if (sqlite3_step(stmt) != SQLITE_DONE)
		return db_error(db, err, "write");
	return 0;
}

/* --- checksums ----------------------------------------------------------- */

/* Every step can be undone, so no changed word goes unnoticed. */
static uint64_t sum_word(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15;
	return sum ^ sum >> 29;
}

static uint64_t sum_text(uint64_t sum, const char *s)
{
	size_t len = s ? strlen(s) : 0;

	sum = sum_word(sum, len);
	for (size_t i = 0; i < len; i += sizeof(sum)) {
		uint64_t word = 0;

		memcpy(&word, s + i,
		       len - i < sizeof(word) ? len - i : sizeof(word));
		sum = sum_word(sum, word);
	}
	return sum;
}

/* Against the mistakes of disks, not against anybody who can write here. */
static sqlite3_int64 row_sum(const struct image_row *row)
{
	const char *const texts[] = {row->id,	   row->name,	row->labels,
				     row->version, row->source, row->etag,
				     row->signer};
	const uint64_t numbers[] = {(uint64_t)row->expiry,
				    (uint64_t)row->imported, row->size,
				    row->unpacked, row->latest};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		sum = sum_text(sum, texts[i]);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sum = sum_word(sum, numbers[i]);
	return (sqlite3_int64)sum;
}

/* --- rows ---------------------------------------------------------------- */

int imagedb_put(struct imagedb *db, const struct image_row *row,
		struct error *err)
{
	cleanup_stmt sqlite3_stmt *stmt = NULL;
	int r;

	r = db_prepare(db,
		       "INSERT OR REPLACE INTO image (id, name, labels,"
		       " version, source, etag, signer, expiry, imported,"
		       " size, unpacked, latest, sum)"
		       " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
		       &stmt, err);
	if (r < 0)
		return r;
	bind_text(stmt, 1, row->id);
	bind_text(stmt, 2, row->name);
	bind_text(stmt, 3, row->labels);
	bind_text(stmt, 4, row->version);
	bind_text(stmt, 5, row->source);
	bind_text(stmt, 6, row->etag);
	bind_text(stmt, 7, row->signer);
	(void)sqlite3_bind_int64(stmt, 8, row->expiry);
	(void)sqlite3_bind_int64(stmt, 9, row->imported);
	(void)sqlite3_bind_int64(stmt, 10, (sqlite3_int64)row->size);
	(void)sqlite3_bind_int64(stmt, 11, (sqlite3_int64)row->unpacked);
	(void)sqlite3_bind_int(stmt, 12, row->latest);
	(void)sqlite3_bind_int64(stmt, 13, row_sum(row));
	return db_step_done(db, stmt, err);
}

int imagedb_delete(struct imagedb *db, const char *id, struct error *err)
{
	cleanup_stmt sqlite3_stmt *stmt = NULL;
	int r;

	r = db_prepare(db, "DELETE FROM image WHERE id = ?", &stmt, err);
	if (r < 0)
		return r;
	bind_text(stmt, 1, id);
	return db_step_done(db, stmt, err);
}

#define COLUMNS                                                                \
	"id, name, labels, version, source, etag, signer, expiry, imported, "  \
	"size, unpacked, serial, latest, sum"

#define BEST_FIRST " ORDER BY latest DESC, imported DESC, serial DESC"

/* Into TEXTS, or if that is NULL into memory of its own. */
static char *column_dup(sqlite3_stmt *stmt, int i, struct image_texts **texts)
{
	const char *s = (const char *)sqlite3_column_text(stmt, i);

	if (!s)
		s = "";
	return texts ? texts_add(texts, s, strlen(s)) : xstrdup(s);
}

static void row_read(const struct imagedb *db, sqlite3_stmt *stmt,
		     struct image_row *row, struct image_texts **texts)
{
	*row = (struct image_row){
		.id = column_dup(stmt, 0, texts),
		.name = column_dup(stmt, 1, texts),
		.labels = column_dup(stmt, 2, texts),
		.version = column_dup(stmt, 3, texts),
		.source = column_dup(stmt, 4, texts),
		.etag = column_dup(stmt, 5, texts),
		.signer = column_dup(stmt, 6, texts),
		.expiry = sqlite3_column_int64(stmt, 7),
		.imported = sqlite3_column_int64(stmt, 8),
		.size = (uint64_t)sqlite3_column_int64(stmt, 9),
		.unpacked = (uint64_t)sqlite3_column_int64(stmt, 10),
		.serial = (uint64_t)sqlite3_column_int64(stmt, 11),
		.latest = sqlite3_column_int(stmt, 12) != 0,
	};
	row->is_damaged = !db->has_no_sums &&
			  row_sum(row) != sqlite3_column_int64(stmt, 13);
}

static int db_get_one(struct imagedb *db, const char *sql, const char *key,
		      struct image_row *ret, struct error *err)
{
	cleanup_stmt sqlite3_stmt *stmt = NULL;
	int r;

	r = db_prepare(db, sql, &stmt, err);
	if (r < 0)
		return r;
	bind_text(stmt, 1, key);
	r = sqlite3_step(stmt);
	if (r == SQLITE_DONE)
		return -ENOENT;
	if (r != SQLITE_ROW)
		return db_error(db, err, "read");
	row_read(db, stmt, ret, NULL);
	if (!ret->is_damaged)
		return 0;
	image_row_release(ret);
	return -ENOENT;
}

int imagedb_get(struct imagedb *db, const char *id, struct image_row *ret,
		struct error *err)
{
	return db_get_one(db, "SELECT " COLUMNS " FROM image WHERE id = ?", id,
			  ret, err);
}

int imagedb_get_source(struct imagedb *db, const char *source,
		       struct image_row *ret, struct error *err)
{
	return db_get_one(db,
			  "SELECT " COLUMNS " FROM image WHERE source = ?"
			  " ORDER BY serial DESC LIMIT 1",
			  source, ret, err);
}

static int rows_read(struct imagedb *db, sqlite3_stmt *stmt,
		     struct image_rows *ret, struct error *err)
{
	size_t room = 0;
	int r;

	while ((r = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (ret->n == room) {
			room = room * 2 + 8;
			ret->v = xreallocarray(ret->v, room, sizeof(*ret->v));
		}
		row_read(db, stmt, &ret->v[ret->n++], &ret->texts);
	}
	return r == SQLITE_DONE ? 0 : db_error(db, err, "read");
}

int imagedb_list(struct imagedb *db, const char *name, struct image_rows *ret,
		 struct error *err)
{
	cleanup_stmt sqlite3_stmt *stmt = NULL;
	int r = 0;

	/* Each page of the table is read once: not all need be kept. */
	if (!name)
		r = db_exec(db, "PRAGMA cache_size = 8", "set up", err);
	if (r < 0)
		return r;
	/* Not one query with OR: it would go through the whole table.  And
	 * all rows in an order that the table has. */
	r = db_prepare(
		db,
		name ? "SELECT " COLUMNS " FROM image WHERE name = ?" BEST_FIRST
		     : "SELECT " COLUMNS " FROM image ORDER BY serial DESC",
		&stmt, err);
	if (r < 0)
		return r;
	if (name)
		bind_text(stmt, 1, name);
	return rows_read(db, stmt, ret, err);
}

/* --- mending ------------------------------------------------------------- */

/* "ok", or what is wrong first. */
static int check(struct imagedb *db, char **ret, struct error *err)
{
	cleanup_stmt sqlite3_stmt *stmt = NULL;
	int r = db_prepare(db, "PRAGMA integrity_check(1)", &stmt, err);

	if (r >= 0 && sqlite3_step(stmt) != SQLITE_ROW)
		r = db_error(db, err, "check");
	if (r >= 0)
		*ret = column_dup(stmt, 0, NULL);
	return r;
}

int imagedb_mend(struct imagedb *db, struct error *err)
{
	cleanup_free char *found = NULL;
	int r = check(db, &found, err);

	if (r < 0 || strcmp(found, "ok") == 0)
		return r;
	log_warning("the image table %s is damaged (%s): making its indexes "
		    "anew",
		    sqlite3_db_filename(db->db, "main"), found);
	return db_exec(db, "REINDEX", "mend", err);
}

/* --- opening ------------------------------------------------------------- */

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS image ("
	" serial INTEGER PRIMARY KEY AUTOINCREMENT,"
	" id TEXT NOT NULL UNIQUE,"
	" name TEXT NOT NULL,"
	" labels TEXT NOT NULL,"
	" version TEXT NOT NULL,"
	" source TEXT NOT NULL,"
	" etag TEXT NOT NULL,"
	" signer TEXT NOT NULL,"
	" expiry INTEGER NOT NULL,"
	" imported INTEGER NOT NULL,"
	" size INTEGER NOT NULL,"
	" unpacked INTEGER NOT NULL,"
	" latest INTEGER NOT NULL,"
	" sum INTEGER NOT NULL);"
	"CREATE INDEX IF NOT EXISTS image_name ON image (name);"
	"CREATE INDEX IF NOT EXISTS image_source ON image (source);"
	"PRAGMA user_version = 2;";

/* Each row as it is gets its checksum. */
static int add_sums(struct imagedb *db, struct error *err)
{
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	int r;

	r = db_exec(db,
		    "ALTER TABLE image ADD COLUMN sum INTEGER NOT NULL"
		    " DEFAULT 0",
		    "bring up to date", err);
	if (r >= 0)
		r = imagedb_list(db, NULL, &rows, err);
	/* From the first to the last: that is the order of serial, too. */
	for (size_t i = rows.n; r >= 0 && i > 0; i--)
		r = imagedb_put(db, &rows.v[i - 1], err);
	return r < 0 ? r
		     : db_exec(db, "PRAGMA user_version = 2",
			       "bring up to date", err);
}

/* In one transaction.  Two processes may both find no table, or an old one:
 * the second waits in BEGIN IMMEDIATE and then finds it as it is to be. */
static int db_change(struct imagedb *db, struct error *err)
{
	int version = 0;
	int r;

	r = db_exec(db, "BEGIN IMMEDIATE", "lock", err);
	if (r < 0)
		return r;
	r = db_schema_version(db, &version, err);
	if (r >= 0 && version == 0)
		r = db_exec(db, schema, "create", err);
	else if (r >= 0 && version < SCHEMA_VERSION)
		r = add_sums(db, err);
	if (r >= 0)
		r = db_exec(db, "COMMIT", "write", err);
	if (r < 0)
		(void)sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* For who may only read it the table looks as if it were brought up to date. */
static int show_old(struct imagedb *db, struct error *err)
{
	db->has_no_sums = true;
	return db_exec(db,
		       "PRAGMA temp_store = MEMORY;"
		       "CREATE TEMP VIEW image AS"
		       " SELECT *, 0 AS sum FROM main.image",
		       "read", err);
}

static int db_migrate(struct imagedb *db, bool create, struct error *err)
{
	int version = 0;
	int r;

	r = db_schema_version(db, &version, err);
	if (r < 0 || version == SCHEMA_VERSION)
		return r;
	if (version > SCHEMA_VERSION)
		return error_set(err, ENOTSUP,
				 "the image table %s has version %d, this rkt "
				 "knows up to %d: use the newer rkt",
				 sqlite3_db_filename(db->db, "main"), version,
				 SCHEMA_VERSION);
	if (version == 0 && !create)
		return error_set(err, ENOENT, "the image table is empty");
	if (version > 0 && sqlite3_db_readonly(db->db, "main") == 1)
		return show_old(db, err);
	return db_change(db, err);
}

/* Members of the store's group write to it, too, whatever the umask; SQLite
 * gives its journals the mode that the table has. */
static void make_table_file(const char *path)
{
	cleanup_fd int fd = open(
		path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)fchmod(fd, 0660);
}

int imagedb_open(const char *path, bool create, struct imagedb **ret,
		 struct error *err)
{
	cleanup_imagedb struct imagedb *db = xcalloc(1, sizeof(*db));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	int r;

	if (create) {
		make_table_file(path);
		flags |= SQLITE_OPEN_CREATE;
	}
	r = sqlite3_open_v2(path, &db->db, flags, NULL);
	if (r != SQLITE_OK)
		return error_set(err, create ? EIO : ENOENT,
				 "open the image table %s: %s", path,
				 sqlite3_errstr(r));
	(void)sqlite3_busy_timeout(db->db, BUSY_TIMEOUT_MS);
	/* A commit that ends with the removal of a file is one when that has
	 * reached the disk. */
	if (create)
		r = db_exec(db, "PRAGMA synchronous = EXTRA", "set up", err);
	if (r < 0)
		return r;
	r = db_migrate(db, create, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(db);
	return 0;
}

void imagedb_free(struct imagedb *db)
{
	if (!db)
		return;
	(void)sqlite3_close(db->db);
	free(db);
}
