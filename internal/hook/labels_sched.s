// This file is empty. Its presence lets task.go declare functions without bodies.
