package server

// NewReplica makes a replica's id of a host's name and random letters.
var NewReplica = newReplica

// ClosePublic closes the public listener's socket under a server.
func ClosePublic(s *Server) error { return s.public.Close() }
