/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_JOURNAL_SYNC_H
#define CMD_JOURNAL_SYNC_H

#include <stdbool.h>

/*
 * Waits until journald has written what it was sent before this call, as
 * `journalctl --sync` does (io.systemd.Journal.Synchronize, by varlink).  False
 * if it cannot be asked: only root may, and it has to run.
 */
bool journal_sync(void);

#endif
