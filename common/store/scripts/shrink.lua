-- Gives back what a session's log has lost.
keep(KEYS[1], KEYS[2], ARGV[1], -tonumber(ARGV[2]))
